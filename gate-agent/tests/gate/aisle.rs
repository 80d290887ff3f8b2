//! A small aisle for these tests: the same protocol as `facegate-loadtest`'s, with bodies that do as they are told,
//! and a photograph of the gate's journal at the moment of every command.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use facegate_runtime::clock::Stopwatch;
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
    started: Stopwatch,
    boot: u32,
    body: Body,
    open: Option<String>,
    known: Vec<String>,
    events: Vec<Value>,
    next_event: u64,
    crossings: Vec<String>,
    gate: Option<TcpStream>,
    standing: bool,
    opens_without_gate: Option<bool>,
    dead: Option<String>,
    shown: Vec<String>,
    journal: PathBuf,
    copies: PathBuf,
}

impl Aisle {
    /// `journal` is the gate's; copies of it go to `copies` as `open-<token>` and `ack-<event>`.
    pub fn start(journal: &Path, copies: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            started: Stopwatch::start(),
            boot: 1,
            body: Body::Crosses,
            open: None,
            known: vec![],
            events: vec![],
            next_event: 1,
            crossings: vec![],
            gate: None,
            standing: false,
            opens_without_gate: None,
            dead: None,
            shown: vec![],
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
        let token = self.state().open.take().expect("somebody stands before the open door");
        self.go(&token, kind);
    }

    /// A beam changes, whoever or whatever breaks it.
    pub fn beam(&self, beam: &str, broken: bool) {
        let saw = if broken { "broken" } else { "cleared" };
        let mut state = self.state();
        if state.dead.as_deref() != Some(beam) {
            state.report(&json!({ "saw": saw, "beam": beam }));
        }
    }

    fn go(&self, token: &str, kind: &str) {
        let crosses = kind == "crossed";
        let (crossing, back) = (
            [("entry", true), ("mid", true), ("entry", false), ("exit", true), ("mid", false), ("exit", false)],
            [("entry", true), ("entry", false)],
        );
        for (beam, broken) in if crosses { &crossing[..] } else { &back[..] } {
            self.beam(beam, *broken);
            thread::sleep(Duration::from_millis(80));
        }
        if crosses {
            self.state().crossings.push(token.to_owned());
        }
    }

    /// A new controller without any memory.
    pub fn lose_memory(&self) {
        let mut state = self.state();
        (state.open, state.known, state.events) = (None, vec![], vec![]);
        state.boot += 1;
        if let Some(gate) = state.gate.take() {
            let _ = gate.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Whether the door was told to stand open.
    pub fn is_standing(&self) -> bool {
        self.state().standing
    }

    /// What it was told to do when the gate is silent.
    pub fn opens_without_gate(&self) -> Option<bool> {
        self.state().opens_without_gate
    }

    /// A beam that says nothing any more.
    pub fn kill(&self, beam: Option<&str>) {
        self.state().dead = beam.map(str::to_owned);
    }

    /// Lamp and sound, as the gate told them.
    pub fn shown(&self) -> Vec<String> {
        self.state().shown.clone()
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
                state.report(&json!({ "saw": "opened", "token": token }));
                match state.body {
                    Body::Hesitates => {}
                    Body::Crosses => self.later(token, "crossed"),
                    Body::TurnsBack => self.later(token, "turned_back"),
                }
            }
            "close" => {
                if state.open.take().is_some() {
                    state.report(&json!({ "saw": "closed" }));
                }
            }
            "stand" => state.standing = command["open"].as_bool().unwrap(),
            "without_gate" => state.opens_without_gate = command["open"].as_bool(),
            "show" => {
                let (lamp, sound) = (command["lamp"].as_str().unwrap(), command["sound"].as_str().unwrap());
                state.shown.push(format!("{lamp}/{sound}"));
            }
            "ack" => {
                let event = command["event"].as_u64().unwrap();
                state.photograph(&format!("ack-{event}"));
                state.events.retain(|e| e["event"].as_u64().unwrap() > event);
            }
            "status" => {
                let answer = json!({
                    "boot": state.boot, "now_ms": state.now_ms(), "next": state.next_event, "unacknowledged": state.events
                });
                state.say(&answer);
            }
            other => panic!("the gate sent {other}"),
        }
    }

    fn later(&self, token: String, kind: &'static str) {
        let aisle = self.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            if aisle.state().open.as_ref() == Some(&token) {
                aisle.go(&token, kind);
            }
        });
    }
}

impl State {
    fn report(&mut self, saw: &Value) {
        let mut event = json!({ "event": self.next_event, "at_ms": self.now_ms() });
        event.as_object_mut().unwrap().extend(saw.as_object().unwrap().clone());
        self.next_event += 1;
        self.events.push(event.clone());
        self.say(&event);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap()
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
