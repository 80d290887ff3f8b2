//! A small aisle for these tests: the same protocol as `facegate-loadtest`'s, with bodies that do as they are told,
//! and a photograph of the gate's journal at the moment of every command.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What the next body does before the open door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Crosses,
    TurnsBack,
    /// Stands there until `Aisle::finish`.
    Hesitates,
}

#[derive(Clone)]
pub struct Aisle {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    body: Body,
    open: Option<String>,
    known: Vec<String>,
    events: Vec<Value>,
    next_event: u64,
    crossings: Vec<String>,
    gate: Option<TcpStream>,
    journal: PathBuf,
    copies: PathBuf,
}

impl Aisle {
    /// `journal` is the gate's; copies of it go to `copies` as `open-<token>` and `ack-<event>`.
    pub fn start(journal: &Path, copies: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            body: Body::Crosses,
            open: None,
            known: vec![],
            events: vec![],
            next_event: 1,
            crossings: vec![],
            gate: None,
            journal: journal.to_owned(),
            copies: copies.to_owned(),
        }));
        let aisle = Self { address, state };
        let serving = aisle.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = serving.clone();
                thread::spawn(move || connection.serve(stream));
            }
        });
        aisle
    }

    pub fn body(&self, body: Body) {
        self.state().body = body;
    }

    /// Tokens under which a body crossed the beam: the count of rides that no record can change.
    pub fn crossings(&self) -> Vec<String> {
        self.state().crossings.clone()
    }

    pub fn opened(&self) -> Vec<String> {
        self.state().known.clone()
    }

    /// Events that the gate has not acknowledged.
    pub fn latched(&self) -> usize {
        self.state().events.len()
    }

    /// The hesitating body makes up its mind.
    pub fn finish(&self, kind: &str) {
        let mut state = self.state();
        let token = state.open.take().expect("somebody stands before the open door");
        state.conclude(&token, kind);
    }

    /// A new controller without any memory.
    pub fn lose_memory(&self) {
        let mut state = self.state();
        (state.open, state.known, state.events) = (None, vec![], vec![]);
        if let Some(gate) = state.gate.take() {
            let _ = gate.shutdown(std::net::Shutdown::Both);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) {
        {
            let mut state = self.state();
            state.gate = Some(stream.try_clone().unwrap());
            let events = state.events.clone();
            events.iter().for_each(|event| state.say(event));
        }
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            self.command(&serde_json::from_str(&line).unwrap());
        }
    }

    fn command(&self, command: &Value) {
        let mut state = self.state();
        match command["cmd"].as_str().unwrap() {
            "open" => {
                let token = command["token"].as_str().unwrap().to_owned();
                state.photograph(&format!("open-{token}"));
                state.known.push(token.clone());
                state.open = Some(token.clone());
                match state.body {
                    Body::Hesitates => {}
                    Body::Crosses => self.later(token, "crossed"),
                    Body::TurnsBack => self.later(token, "turned_back"),
                }
            }
            "ack" => {
                let event = command["event"].as_u64().unwrap();
                state.photograph(&format!("ack-{event}"));
                state.events.retain(|e| e["event"] != event);
            }
            "status" => {
                let status = if state.open.is_some() { "open" } else { "closed" };
                let answer = json!({ "status": status, "token": state.open, "unacknowledged": state.events, "known": state.known });
                state.say(&answer);
            }
            other => panic!("the gate sent {other}"),
        }
    }

    fn later(&self, token: String, kind: &'static str) {
        let aisle = self.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            let mut state = aisle.state();
            if state.open.as_ref() == Some(&token) {
                state.open = None;
                state.conclude(&token, kind);
            }
        });
    }
}

impl State {
    fn conclude(&mut self, token: &str, kind: &str) {
        if kind == "crossed" {
            self.crossings.push(token.to_owned());
        }
        let event = json!({ "event": self.next_event, "token": token, "kind": kind });
        self.next_event += 1;
        self.events.push(event.clone());
        self.say(&event);
    }

    fn say(&mut self, line: &Value) {
        if let Some(gate) = &mut self.gate {
            // A gate that is gone hears it when it is back.
            let _ = gate.write_all(format!("{line}\n").as_bytes());
        }
    }

    fn photograph(&self, name: &str) {
        for epoch in std::fs::read_dir(&self.journal).unwrap().flatten() {
            let to = self.copies.join(name).join(epoch.file_name());
            std::fs::create_dir_all(&to).unwrap();
            for file in std::fs::read_dir(epoch.path()).unwrap().flatten() {
                std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
    }
}
