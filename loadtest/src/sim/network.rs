//! The simulated network: real gRPC clients call real gRPC services in the same process, and between them messages are
//! late, lost, doubled, or cut off. The services see callers' names as they would from certificates.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{Request, Response};
use facegate_runtime::disk::SimDisk;
use facegate_runtime::grpc::{Wire, WireError};
use facegate_runtime::identity::PeerIdentity;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::dice::Dice;
use super::events::Events;
use super::node::Node;
use super::sabotage::Sabotage;

/// What a machine answers calls with.
pub type Service = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// How long a caller hears nothing before he is told that there is nothing to hear.
const SILENCE: Duration = Duration::from_secs(8);

/// A machine that answers, for as long as its process lives.
#[derive(Clone)]
pub struct Server {
    pub service: Service,
    pub disk: SimDisk,
    pub alive: CancellationToken,
}

/// How bad the network is: probabilities for each message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub lost: f64,
    pub doubled: f64,
    pub late: f64,
}

/// See the module.
pub struct Network {
    /// By caller, called, and what for.
    dice: BTreeMap<(Node, Node, Throw), Dice>,
    events: Arc<Events>,
    sabotage: Option<Sabotage>,
    state: Mutex<State>,
}

/// What dice are thrown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Throw {
    /// What becomes of a call.
    Fate,
    /// How late each part of an answer is.
    Frame,
}

#[derive(Default)]
struct State {
    weather: Weather,
    servers: BTreeMap<Node, Server>,
    /// Both ends of each line, the lower first; the token is cancelled while the line is cut.
    lines: BTreeMap<(Node, Node), CancellationToken>,
    /// Since when each line that is cut has been.
    cut: BTreeMap<(Node, Node), Instant>,
}

/// What becomes of one call.
struct Fate {
    there: Duration,
    back: Duration,
    lost: bool,
    answer_lost: bool,
    again: Option<Duration>,
}

#[derive(Clone)]
struct Caller {
    from: Node,
    to: Node,
    peer: PeerIdentity,
}

impl Network {
    pub fn new(dice: &Dice, events: Arc<Events>, sabotage: Option<Sabotage>) -> Arc<Self> {
        let lines = Node::all().into_iter().filter_map(|from| Some((from, from.above()?)));
        let throws = lines.flat_map(|(from, to)| [Throw::Fate, Throw::Frame].map(|throw| (from, to, throw)));
        let dice = throws.map(|line| (line, dice.of(format_args!("line {line:?}")))).collect();
        Arc::new(Self { dice, events, sabotage, state: Mutex::default() })
    }

    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    pub fn listen(&self, node: Node, server: Server) {
        self.state().servers.insert(node, server);
    }

    pub fn hang_up(&self, node: Node) {
        self.state().servers.remove(&node);
    }

    pub fn cut(&self, a: Node, b: Node) {
        self.state().cut.entry(ends(a, b)).or_insert_with(Instant::now);
        self.line(a, b).cancel();
    }

    /// For how long nothing has gone over this line; none if it is whole.
    pub fn cut_for(&self, a: Node, b: Node) -> Option<Duration> {
        self.state().cut.get(&ends(a, b)).map(Instant::elapsed)
    }

    pub fn mend(&self, a: Node, b: Node) {
        let mut state = self.state();
        state.lines.remove(&ends(a, b));
        state.cut.remove(&ends(a, b));
    }

    pub fn mend_all(&self) {
        let mut state = self.state();
        state.lines.clear();
        state.cut.clear();
    }

    /// What `from` calls `to` over.
    pub fn wire(self: &Arc<Self>, from: Node, to: Node) -> Wire {
        let (network, caller) = (Arc::clone(self), Caller { from, to, peer: from.peer() });
        BoxCloneSyncService::new(tower::service_fn(move |request| {
            let (network, caller) = (Arc::clone(&network), caller.clone());
            async move { network.carry(caller, request).await.map_err(|status| WireError(status.into())) }
        }))
    }

    async fn carry(self: Arc<Self>, caller: Caller, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(caller.peer.clone());
        let method = parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        // What streams in goes through as it is; all else is one message, which may be doubled.
        let streamed = method == "Attend";
        let fate = self.fate(&caller, &method, streamed);
        let line = self.line(caller.from, caller.to);
        sleep(fate.there).await;
        if fate.lost {
            sleep(SILENCE).await;
            return Err(Status::unavailable("lost on the way"));
        }
        let server = self.server(&caller, &line)?;
        let request = if streamed {
            Request::from_parts(parts, body)
        } else {
            let bytes = body.collect().await?.to_bytes();
            self.maybe_again(&caller, &parts, &bytes, fate.again);
            Request::from_parts(parts, Body::new(Full::new(bytes)))
        };
        // Nothing of the process may be held while its answer travels, or it could not start again meanwhile.
        let Server { service, disk, alive } = server;
        let answer = tokio::select! {
            biased;
            () = line.cancelled() => return Err(Status::unavailable("the line was cut")),
            () = alive.cancelled() => return Err(Status::unavailable("the server died")),
            answer = service.oneshot(request) => answer.unwrap_or_else(|never| match never {}),
        };
        if disk.is_off() || fate.answer_lost {
            sleep(SILENCE).await;
            return Err(Status::unavailable("no answer"));
        }
        sleep(fate.back).await;
        drop(self.server(&caller, &line)?);
        Ok(self.stream(&caller, method, answer, (line, alive)))
    }

    /// The same message once more, some time later; nobody waits for its answer.
    fn maybe_again(self: &Arc<Self>, caller: &Caller, parts: &Parts, bytes: &bytes::Bytes, again: Option<Duration>) {
        let Some(after) = again else { return };
        let (network, caller, parts, bytes) = (Arc::clone(self), caller.clone(), parts.clone(), bytes.clone());
        tokio::spawn(async move {
            sleep(after).await;
            let line = network.line(caller.from, caller.to);
            if let Ok(server) = network.server(&caller, &line) {
                let request = Request::from_parts(parts, Body::new(Full::new(bytes)));
                tokio::select! {
                    biased;
                    () = server.alive.cancelled() => (),
                    _ = server.service.oneshot(request) => (),
                }
            }
        });
    }

    /// Frames of the answer as they come, each a little late, until the line or the server is gone.
    fn stream(
        self: &Arc<Self>,
        caller: &Caller,
        method: String,
        answer: Response<Body>,
        (line, alive): (CancellationToken, CancellationToken),
    ) -> Response<Body> {
        let key = (caller.from, caller.to, Throw::Frame);
        let sabotage = self.sabotage.filter(|sabotage| sabotage.deafens(caller.from));
        let (parts, body) = answer.into_parts();
        let start = (Arc::clone(self), Some(body), (line, alive, method));
        let frames = futures::stream::unfold(start, move |(network, body, (line, alive, method))| async move {
            let mut body = body?;
            let frame = tokio::select! {
                biased;
                () = line.cancelled() => Err(Status::unavailable("the line was cut")),
                () = alive.cancelled() => Err(Status::unavailable("the server died")),
                frame = body.frame() => frame?,
            };
            sleep(network.dice[&key].ms(0..8)).await;
            let left = frame.is_ok().then_some(body);
            let frame = match sabotage {
                Some(sabotage) => frame.map(|frame| frame.map_data(|bytes| sabotage.answer(&method, bytes))),
                None => frame,
            };
            Some((frame, (network, left, (line, alive, method))))
        });
        Response::from_parts(parts, Body::new(StreamBody::new(Box::pin(frames))))
    }

    fn fate(&self, caller: &Caller, method: &str, streamed: bool) -> Fate {
        let (weather, dice) = (self.state().weather, &self.dice[&(caller.from, caller.to, Throw::Fate)]);
        let way = || if dice.chance(weather.late) { dice.ms(200..6_000) } else { dice.ms(1..30) };
        let (there, back) = (way(), way());
        let lost = dice.chance(weather.lost);
        let answer_lost = !lost && dice.chance(weather.lost);
        let again = (!streamed && dice.chance(weather.doubled)).then(|| dice.ms(1..9_000));
        let told = |kind| self.events.fault(kind, format_args!("{} → {} {method}", caller.from, caller.to));
        if there.max(back) > Duration::from_millis(100) {
            told("late_message");
        }
        if lost {
            told("lost_request");
        }
        if answer_lost {
            told("lost_answer");
        }
        if again.is_some() {
            told("doubled_message");
        }
        Fate { there, back, lost, answer_lost, again }
    }

    fn server(&self, caller: &Caller, line: &CancellationToken) -> Result<Server, Status> {
        if line.is_cancelled() {
            return Err(Status::unavailable("the line is cut"));
        }
        let server = self.state().servers.get(&caller.to).cloned();
        let up = server.filter(|server| !server.alive.is_cancelled() && !server.disk.is_off());
        up.ok_or_else(|| Status::unavailable("nobody listens"))
    }

    fn line(&self, a: Node, b: Node) -> CancellationToken {
        self.state().lines.entry(ends(a, b)).or_default().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ends(a: Node, b: Node) -> (Node, Node) {
    (a.min(b), a.max(b))
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}
