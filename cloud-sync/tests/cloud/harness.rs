//! One cloud on free ports with an operator's CA of its own, and clients of each role.

use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::enrolment::FaceCapture;
use facegate_cloud_sync::server::Server;
use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use facegate_domain::{Clock, Timestamp};
use facegate_models::Quality;
use facegate_models::enrolment::{Capture, CaptureProblem};
use facegate_proto::v1;
use facegate_proto::v1::enrolment_service_client::EnrolmentServiceClient;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::clock::{ManualClock, SystemClock};
use facegate_runtime::grpc::{ChannelOptions, channel};
use facegate_runtime::identity::ca::CertificateAuthority;
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role, TlsPaths};
use facegate_runtime::sign_in::Password;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::trial::TrialCloud;

/// When every test begins.
pub const BEGIN: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

/// The app that may call over REST, and the operator who may sign in.
pub const API_KEY: &str = "fgk_of-the-test";
/// Of the acquirer `cards`, whom nobody can reach.
pub const WEBHOOK_SECRET: &str = "a-secret-of-the-tests";
pub const OPERATOR: &str = "night-shift";
/// The other one, with the same password: four eyes.
pub const SECOND_OPERATOR: &str = "day-shift";
pub const OPERATOR_PASSWORD: &str = "correct-horse-battery";

/// North to south is 400.
pub static FARES: LazyLock<String> = LazyLock::new(|| crate::trial::fares(&["north", "south"], &[7000]));

/// Photographs here are texts: the same text is the same face, and one that begins with "no" has none.
#[derive(Debug)]
pub struct TextFaces(ModelId);

impl TextFaces {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(ModelId::new("text").unwrap()))
    }
}

impl FaceCapture for TextFaces {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn capture(&self, photograph: &[u8]) -> Result<Capture, CaptureProblem> {
        if photograph.starts_with(b"no") {
            return Err(CaptureProblem::NoFace);
        }
        let mut seed =
            photograph.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
        let values = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from(i16::from_le_bytes([(seed >> 40) as u8, (seed >> 48) as u8]))
        });
        let embedding = Embedding::normalise(self.0.clone(), values.take(128).collect()).unwrap();
        Ok(Capture { embedding, quality: Quality::default() })
    }
}

pub struct TestCloud {
    pub clock: Arc<ManualClock>,
    pub cloud: Arc<Cloud>,
    pub dir: tempfile::TempDir,
    ca: CertificateAuthority,
    uri: String,
    web_uri: String,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl TestCloud {
    pub async fn start() -> Self {
        Self::start_with(TextFaces::new()).await
    }

    pub async fn start_with(faces: Arc<dyn FaceCapture>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::create("test", Duration::from_secs(3600), &SystemClock::new()).unwrap();
        let clock = Arc::new(ManualClock::at(BEGIN));
        Self::serve(dir, ca, clock, faces).await
    }

    async fn serve(
        dir: tempfile::TempDir,
        ca: CertificateAuthority,
        clock: Arc<ManualClock>,
        faces: Arc<dyn FaceCapture>,
    ) -> Self {
        issue(&ca, dir.path(), Role::Cloud, "main");
        // The CA that renews is the one that issued.
        ca.save(&dir.path().join("ca")).unwrap();
        let trial = trial(dir.path());
        // For the operator's commands.
        std::fs::write(dir.path().join("cloud.toml"), trial.text()).unwrap();
        let config = trial.config(&FARES).unwrap();
        let server = Server::bind(config, clock.clone() as Arc<dyn Clock>, faces, None).await.unwrap();
        let uri = format!("https://{}", server.address().unwrap());
        let web_uri = format!("https://{}", server.web_address().unwrap().unwrap());
        let (cloud, stop) = (Arc::clone(server.cloud()), CancellationToken::new());
        let stopped = stop.clone();
        let served = tokio::spawn(async move { server.serve(stopped).await.unwrap() });
        Self { clock, cloud, dir, ca, uri, web_uri, stop, served }
    }

    /// Stops the server and starts another on the same disk.
    pub async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    /// The same, with something done to the disk in between.
    pub async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        let Self { clock, cloud, dir, ca, stop, served, .. } = self;
        stop.cancel();
        served.await.unwrap();
        // The feed's readers end on their own time, and hold the store open until then.
        let store = Arc::downgrade(&cloud.store);
        drop(cloud);
        for _ in 0..4000 {
            if store.strong_count() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(store.strong_count(), 0, "somebody still holds the store");
        change(dir.path());
        Self::serve(dir, ca, clock, TextFaces::new()).await
    }

    /// A new certificate under the operator's CA.
    pub fn identity(&self, role: Role, id: &str) -> DeviceIdentity {
        issue(&self.ca, self.dir.path(), role, id)
    }

    /// Where the register of erasures is.
    pub fn register(dir: &Path) -> std::path::PathBuf {
        dir.join("keys/erasures")
    }

    pub fn channel(&self, role: Role, id: &str) -> Channel {
        let identity = self.identity(role, id);
        channel(&identity, &self.uri, Role::Cloud, ChannelOptions::default()).unwrap()
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where the pages and the REST API are.
    pub fn web_uri(&self) -> &str {
        &self.web_uri
    }

    pub fn app(&self) -> EnrolmentServiceClient<Channel> {
        EnrolmentServiceClient::new(self.channel(Role::Integrator, "metro-app")).max_encoding_message_size(32 << 20)
    }

    pub fn station(&self, id: &str) -> SyncServiceClient<Channel> {
        SyncServiceClient::new(self.channel(Role::Station, id))
    }

    /// A rider with consent and the face that `photograph` shows; his id.
    pub async fn enrol(&self, photograph: &str) -> String {
        let mut app = self.app();
        let rider = consenting_rider(&mut app).await;
        enrol(&mut app, &rider, photograph.as_bytes()).await.unwrap();
        rider
    }

    /// Waits until `check` gives something; the server works on its own time.
    pub async fn eventually<T>(&self, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..600 {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never happened: {what}");
    }
}

fn issue(ca: &CertificateAuthority, dir: &Path, role: Role, id: &str) -> DeviceIdentity {
    let device = PeerIdentity::new(role, id).unwrap();
    let issued = ca.issue(&device, &[], Duration::from_secs(3600), &SystemClock::new()).unwrap();
    let paths = issued.save(&dir.join("tls"), &format!("{role}-{id}")).unwrap();
    DeviceIdentity::load(&paths).unwrap()
}

fn trial(dir: &Path) -> TrialCloud<'_> {
    let key_digest = hex::encode(Sha256::digest(API_KEY));
    let password_hash = operator_hash();
    let webhook_secret = dir.join("webhook-secret");
    std::fs::write(&webhook_secret, WEBHOOK_SECRET).unwrap();
    let more = format!(
        r#"
        [ca]
        dir = "{}"
        [feed]
        kept = 7000
        [journeys]
        settle_after_ms = 1000
        [remedies]
        four_eyes_above_minor = 300
        [[charging.acquirer]]
        name = "cards"
        kind = "sandbox"
        address = "https://127.0.0.1:1"
        webhook_secret_file = "{}"
        [web]
        listen = "127.0.0.1:0"
        sign_in_failures_max = 3
        image_bytes_max = 20000
        operators = [
            {{ name = "{OPERATOR}", password_hash = "{password_hash}" }},
            {{ name = "{SECOND_OPERATOR}", password_hash = "{password_hash}" }},
        ]
        api_keys = [{{ name = "metro-app", sha256 = "{key_digest}" }}]
        "#,
        dir.join("ca").display(),
        webhook_secret.display(),
    );
    let tls = |file: &str| dir.join("tls").join(file);
    let tls = TlsPaths { cert: tls("cloud-main.pem"), key: tls("cloud-main-key.pem"), ca: tls("ca.pem"), crl: None };
    TrialCloud { more, ..TrialCloud::new(dir, tls) }
}

/// Made once: it is dear by design.
fn operator_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| Password::typed(OPERATOR_PASSWORD).hash().unwrap())
}

pub async fn consenting_rider(app: &mut EnrolmentServiceClient<Channel>) -> String {
    let rider = new_rider(app).await;
    give_consent(app, &rider).await;
    rider
}

pub async fn give_consent(app: &mut EnrolmentServiceClient<Channel>, rider: &str) {
    let consent = v1::GiveConsentRequest {
        rider_id: rider.into(),
        purpose: "recognition".into(),
        text_version: "2026-01".into(),
        channel: "app".into(),
    };
    app.give_consent(consent).await.unwrap();
}

pub async fn new_rider(app: &mut EnrolmentServiceClient<Channel>) -> String {
    let request = v1::CreateRiderRequest { display_name: "A rider".into() };
    app.create_rider(request).await.unwrap().into_inner().rider_id
}

pub async fn enrol(
    app: &mut EnrolmentServiceClient<Channel>,
    rider: &str,
    photograph: &[u8],
) -> Result<v1::EnrolFaceResponse, tonic::Status> {
    let request = v1::EnrolFaceRequest { rider_id: rider.into(), image: photograph.to_vec(), more_images: Vec::new() };
    app.enrol_face(request).await.map(tonic::Response::into_inner)
}

/// The stable code of a refusal.
pub fn code(status: &tonic::Status) -> &str {
    status.metadata().get("facegate-code").map_or("", |code| code.to_str().unwrap())
}
