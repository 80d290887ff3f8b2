//! A station for these tests: the real service over real mutual TLS, with a gallery of a few riders compared one by
//! one. It runs in a runtime of its own, so that killing it kills its connections as well.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use facegate_domain::face::Embedding;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_domain::score::Tier;
use facegate_domain::tap::{Evidence, GateRecord};
use facegate_proto::convert::station::{Answer, probe_from_wire};
use facegate_proto::v1;
use facegate_proto::v1::station_service_server::{StationService, StationServiceServer};
use facegate_runtime::grpc;
use facegate_runtime::identity::{DeviceIdentity, Role, require};
use futures::Stream;
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status, Streaming};

/// Mates of the demo's people lie well above, strangers well below.
const COSINE_MIN: f32 = 0.4;

pub struct FakeStation {
    pub port: u16,
    identity: DeviceIdentity,
    memory: Arc<Mutex<Memory>>,
    running: Option<Runtime>,
}

/// What outlives a restart.
#[derive(Default)]
pub struct Memory {
    pub riders: Vec<(RiderId, Embedding)>,
    pub issuer_keys: Vec<Vec<u8>>,
    pub epoch: u32,
    pub records: BTreeMap<u32, Vec<GateRecord>>,
    pub spent: Vec<Vec<u8>>,
    pub searches: u32,
    pub sightings: u32,
    /// The last of them.
    pub sighted: Option<Embedding>,
    pub statuses: Vec<v1::GateStatus>,
    /// Sent to every gate that attends, from the first one on.
    pub commands: Vec<v1::gate_command::Command>,
}

impl FakeStation {
    pub fn start(identity: DeviceIdentity, issuer_key: [u8; 32]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let memory = Memory { issuer_keys: vec![issuer_key.to_vec()], ..Memory::default() };
        let mut station = Self { port, identity, memory: Arc::new(Mutex::new(memory)), running: None };
        station.serve(listener);
        station
    }

    pub fn stop(&mut self) {
        self.running.take().expect("it runs").shutdown_background();
    }

    pub fn start_again(&mut self) {
        self.serve(TcpListener::bind(("127.0.0.1", self.port)).unwrap());
    }

    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// All records of all epochs, in order.
    pub fn records(&self) -> Vec<GateRecord> {
        self.memory().records.values().flatten().cloned().collect()
    }

    fn serve(&mut self, listener: TcpListener) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = StationServiceServer::new(Service(Arc::clone(&self.memory)));
        let identity = self.identity.clone();
        runtime.spawn(async move {
            let incoming = grpc::incoming(listener, &identity).unwrap();
            grpc::server().add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        self.running = Some(runtime);
    }
}

struct Service(Arc<Mutex<Memory>>);

impl Service {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }
}

#[tonic::async_trait]
impl StationService for Service {
    async fn register(&self, request: Request<v1::RegisterRequest>) -> Result<Response<v1::RegisterResponse>, Status> {
        require(&request, &[Role::Gate, Role::Camera])?;
        let request = request.into_inner();
        let mut memory = self.memory();
        let held = memory.records.get(&request.epoch).map_or(0, Vec::len) as u64;
        if request.epoch == 0 || request.epoch != memory.epoch || held > request.next_sequence {
            memory.epoch += 1;
        }
        let epoch = memory.epoch;
        Ok(Response::new(v1::RegisterResponse {
            epoch,
            station: "north".into(),
            code_issuer_keys: memory.issuer_keys.clone(),
            station_unix_ms: 0,
            delivered_next_sequence: memory.records.get(&epoch).map_or(0, Vec::len) as u64,
        }))
    }

    async fn identify(&self, request: Request<v1::IdentifyRequest>) -> Result<Response<v1::IdentifyResponse>, Status> {
        require(&request, &[Role::Gate])?;
        let (probe, frames) = probe_from_wire(request.into_inner().probe)?;
        let mut memory = self.memory();
        memory.searches += 1;
        let best = memory
            .riders
            .iter()
            .map(|(rider, template)| (template.similarity(&probe), *rider))
            .max_by(|a, b| a.0.cosine().total_cmp(&b.0.cosine()))
            .filter(|(similarity, _)| similarity.cosine() >= COSINE_MIN);
        let answer = match best {
            Some((similarity, rider)) => {
                let evidence = Evidence::Face { similarity, tier: Tier::City, risk: 1e-7, frames };
                Answer::Granted { rider, evidence: Some(evidence) }
            }
            None => Answer::Refused(Refusal::NotRecognised),
        };
        Ok(Response::new(answer.into()))
    }

    async fn present_code(
        &self,
        request: Request<v1::PresentCodeRequest>,
    ) -> Result<Response<v1::PresentCodeResponse>, Status> {
        require(&request, &[Role::Gate])?;
        let request = request.into_inner();
        let mut memory = self.memory();
        let rider = RiderId::from_bytes(request.rider.try_into().unwrap());
        let face = request.face.map(|probe| probe_from_wire(Some(probe))).transpose()?;
        let likeness = face.map(|(probe, frames)| {
            memory.searches += 1;
            let his = memory.riders.iter().find(|(known, _)| *known == rider);
            (his.expect("he is enrolled").1.similarity(&probe), frames)
        });
        let answer = if memory.spent.contains(&request.nonce) {
            Answer::Refused(Refusal::CodeReplayed)
        } else if likeness.is_some_and(|(similarity, _)| similarity.cosine() < COSINE_MIN) {
            Answer::Refused(Refusal::FaceDiffers)
        } else {
            memory.spent.push(request.nonce);
            let face = |(similarity, frames)| Evidence::Face { similarity, tier: Tier::City, risk: 1e-5, frames };
            Answer::Granted { rider, evidence: likeness.map(face) }
        };
        Ok(Response::new(answer.into()))
    }

    async fn sight(&self, request: Request<v1::SightRequest>) -> Result<Response<v1::SightResponse>, Status> {
        require(&request, &[Role::Camera])?;
        let (probe, _) = probe_from_wire(request.into_inner().probe)?;
        let mut memory = self.memory();
        memory.sightings += 1;
        memory.sighted = Some(probe);
        Ok(Response::new(v1::SightResponse {}))
    }

    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        let gate = require(&request, &[Role::Gate])?.id;
        let mut memory = self.memory();
        let mut marks = BTreeMap::new();
        for record in request.into_inner().records {
            let record = GateRecord::try_from(record)?;
            let (epoch, sequence) = (record.id.epoch, usize::try_from(record.id.sequence).unwrap());
            let held = memory.records.entry(epoch).or_default();
            if sequence == held.len() {
                held.push(record);
            } else {
                assert_eq!(held.get(sequence), Some(&record), "another content under the same id, or a gap");
            }
            marks.insert(epoch, held.len() as u64);
        }
        let mark = |(epoch, next_sequence)| v1::JournalMark { gate: gate.clone(), epoch, next_sequence };
        Ok(Response::new(v1::DeliverResponse { marks: marks.into_iter().map(mark).collect(), conflicts: vec![] }))
    }

    type AttendStream = Pin<Box<dyn Stream<Item = Result<v1::GateCommand, Status>> + Send>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::GateStatus>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        require(&request, &[Role::Gate, Role::Camera])?;
        let (mut statuses, memory) = (request.into_inner(), Arc::clone(&self.0));
        tokio::spawn(async move {
            while let Ok(Some(status)) = statuses.message().await {
                memory.lock().unwrap().statuses.push(status);
            }
        });
        let (sender, queue) = tokio::sync::mpsc::channel(16);
        let memory = Arc::clone(&self.0);
        tokio::spawn(async move {
            for number in 0.. {
                let command = loop {
                    let told = memory.lock().unwrap().commands.get(number).cloned();
                    if told.is_some() {
                        break told;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                };
                if sender.send(Ok(v1::GateCommand { id: number.to_string(), command })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(queue))))
    }
}
