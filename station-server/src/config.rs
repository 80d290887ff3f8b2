//! The station's config: raw as written, checked as run, every problem at once.

mod raw;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use facegate_domain::ids::{GateId, ModelId, StationId};
use facegate_domain::score::Calibration;
use facegate_gallery::{DecisionSettings, calibration};
use facegate_runtime::config::Problems;
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::journal::JournalOptions;
use facegate_runtime::telemetry::Telemetry;

pub use raw::RawConfig;
use raw::RawModel;

use crate::booth::{BoothConfig, RawBooth};
use crate::offline::{OfflineLimits, StaleDenyList};

const DAY: Duration = Duration::from_secs(86_400);

/// What `--help` prints below the options: a whole config to start from.
pub const EXAMPLE: &str = r#"The config file, with every key and its default ("required" where there is none):

    station  = "north"                        # required: this station's name, as in its certificate
    listen   = "0.0.0.0:7443"                 # required: gRPC for gates and cameras, mutual TLS
    cloud    = "https://cloud.example:7440"   # required: where the feed comes from and journals go; of several
                                              # replicas a list, ["https://a:7440", "https://b:7440"]
    data_dir = "/var/lib/facegate/station"    # required: journal, templates, state; one process at a time
    gates    = ["north-in", "north-out"]      # required: the gates that may call
    cameras  = []                             # the entrance cameras that may call

    [tls]                                     # required: PEM files of this device
    cert = "/etc/facegate/north.pem"
    key  = "/etc/facegate/north-key.pem"
    ca   = "/etc/facegate/ca.pem"
    # crl = "/etc/facegate/crl.pem"           # what the CA has revoked; all these files are read again when they change

    [telemetry]
    format = "text"                           # or "json"
    filter = "info"
    # metrics_listen = "0.0.0.0:7444"         # HTTPS for the role monitor: /metrics, /healthz

    [recognition]
    model = "sface-2021dec"                   # probes and templates of other models are refused
    dims = 128
    # calibration = "/etc/facegate/sface.toml"   # default: the one that ships for the model
    identify_deadline_ms = 800                # a gate is told to use codes rather than wait longer
    searches_max = 2                          # at a time; use the number of cores
    # [recognition.next]                      # while riders move to another model: templates of both side by side,
    # model = "hse-faceres-2021"              # a probe meets its own; when it is added, all templates are fetched anew
    # dims = 1024

    [decision]
    risk_budget = 10.0                        # accepted false charges per million passages
    stranger = 0.85                           # share of searched faces that are not enrolled
    # expected_rider_max = 0.001              # most that a sighting may raise one rider's prior to; default: calibration
    template_photographs = 1                  # taken for a template that does not say it; newer ones do
    claim_false_match_max = 0.0001            # where a code names the rider and his face has to be his: others taken for him
    candidates_max = 64
    [decision.entry]                          # with stranger: adds up to 1
    expected = 0.06                           # seen by the entrance camera in the last minutes
    regulars = 0.05
    city = 0.04
    [decision.exit]                           # with stranger: adds up to 1
    in_system = 0.12                          # inside the network now
    city = 0.03

    [sightings]
    enabled = true                            # the operator's settings, sent by the cloud, go before this
    keep_s = 600                              # how long a rider seen at the entrance is expected

    [tiers]
    inside_max_s = 97200                      # an entry without an exit ends after this; a little later than in the cloud,
                                              # since it is for when that is away

    [lease]
    max_s = 259200                            # longest that faces are recognised without hearing from the cloud;
                                              # the cloud's own limit counts if it is shorter
    [codes]
    memory_s = 600                            # ride codes older than this are refused; younger ones are remembered

    [journal]
    segment_bytes_max = 16777216
    total_bytes_max = 4294967296              # full of what the cloud has not taken: deliveries are refused until it has
    kept_days = 7                             # what it has taken stays so long, to be asked for once more, or until
                                              # room is needed
    waiting_warned_percent = 70               # warn when what waits fills so much of it

    [offline]                                 # without the cloud
    deny_list_age_max_s = 86400               # an older deny list is stale: a warning, and
    deny_list_stale = "allow"                 # riders pass, whose debts grow by a few rides at most; or "refuse": nobody
                                              # passes, which shuts a station for a broken cable
    days_max = 7                              # after so long without a word from the cloud nobody passes

    # [booth]                                 # the ticket booth's page; without this section there is none
    # listen = "127.0.0.1:7446"               # on loopback without TLS; for other machines HTTPS with the station's certificate
    # [[booth.attendants]]
    # name = "li"
    # password_hash = "$argon2id$..."         # from `facegate-station-server hash-password`
"#;

/// A model whose templates are held.
#[derive(Debug, Clone)]
pub struct EmbeddingModel {
    /// Names the model.
    pub calibration: Calibration,
    pub dims: usize,
}

/// A checked config.
#[derive(Debug, Clone)]
pub struct Config {
    pub station: StationId,
    pub listen: SocketAddr,
    /// Every replica of the cloud; the station is connected to one of them.
    pub cloud: Vec<String>,
    pub data_dir: PathBuf,
    pub gates: BTreeSet<GateId>,
    pub cameras: BTreeSet<GateId>,
    pub tls: TlsPaths,
    pub telemetry: Telemetry,
    /// What gates may embed with: the model in use and, during a migration, the next.
    pub models: Vec<EmbeddingModel>,
    /// From the call's arrival to its answer; beyond it the gate is told to use codes.
    pub identify_deadline: Duration,
    pub searches_max: usize,
    pub decision: DecisionSettings,
    /// Otherwise entrance cameras are answered and what they see is dropped; the operator's settings go before this.
    pub sightings_enabled: bool,
    pub sightings_keep: Duration,
    /// An entry says for so long at most that its rider is inside.
    pub inside_max: Duration,
    /// A lease of the templates' key counts for so long at most.
    pub lease_max: Duration,
    pub code_memory: Duration,
    pub journal: JournalOptions,
    /// How long acknowledged records are kept.
    pub journal_kept: Duration,
    /// Unacknowledged records of this share of the journal's bound are worth a warning.
    pub waiting_warned_percent: u32,
    pub offline: OfflineLimits,
    /// None: the station has no ticket booth.
    pub booth: Option<BoothConfig>,
}

impl TryFrom<RawConfig> for Config {
    type Error = Problems;

    fn try_from(raw: RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let station = problems.check("station", StationId::new(raw.station));
        let listen = problems.address("listen", &raw.listen);
        let cloud = raw.cloud.into_all();
        check_addresses(&cloud, &mut problems);
        let gates = names("gates", &raw.gates, &BTreeSet::new(), &mut problems);
        let cameras = names("cameras", &raw.cameras, &gates, &mut problems);
        if raw.gates.is_empty() {
            problems.add("gates", "name at least one gate");
        }
        let tls = raw.tls.check("tls", &mut problems);
        let telemetry = raw.telemetry.check("telemetry", &mut problems);
        let (model, dims, calibration) = (raw.recognition.model, raw.recognition.dims, raw.recognition.calibration);
        let used = embedding_model("recognition", RawModel { model, dims, calibration }, &mut problems);
        let next = raw.recognition.next.map(|next| embedding_model("recognition.next", next, &mut problems));
        if let (Some(used), Some(Some(next))) = (&used, &next)
            && used.calibration.model == next.calibration.model
        {
            problems.add("recognition.next.model", "is the model in use; name the one that riders move to");
        }
        let deadline_ms = raw.recognition.identify_deadline_ms;
        let deadline = problems.duration_ms("recognition.identify_deadline_ms", deadline_ms, 10..=60_000);
        let searches_max = problems.within("recognition.searches_max", raw.recognition.searches_max, 1..=256);
        for problem in raw.decision.problems() {
            problems.add(format!("decision.{}", problem.path), problem.message);
        }
        // Minutes only: who came in is nobody's business later.
        let keep = problems.duration_s("sightings.keep_s", raw.sightings.keep_s, 1..=1800);
        let inside_max = problems.duration_s("tiers.inside_max_s", raw.tiers.inside_max_s, 3600..=7 * 86_400);
        let lease_max = problems.duration_s("lease.max_s", raw.lease.max_s, 60..=30 * 86_400);
        // Gates accept a code for a minute of clock differences included; what is remembered must outlast that.
        let code_memory = problems.duration_s("codes.memory_s", raw.codes.memory_s, 120..=86_400);
        let kept_days = problems.within("journal.kept_days", raw.journal.kept_days, 0..=90);
        let warned = raw.journal.waiting_warned_percent;
        let waiting_warned_percent = problems.within("journal.waiting_warned_percent", warned, 1..=100);
        let offline = offline_limits(raw.offline, &mut problems);
        let booth = booth(raw.booth, station.as_ref(), &gates.union(&cameras).cloned().collect(), &mut problems);
        let config = (|| {
            Some(Self {
                station: station?,
                listen: listen?,
                cloud,
                data_dir: raw.data_dir,
                gates,
                cameras,
                tls: tls?,
                telemetry: telemetry?,
                models: std::iter::once(used).chain(next).collect::<Option<_>>()?,
                identify_deadline: deadline?,
                searches_max: searches_max?,
                decision: raw.decision,
                sightings_enabled: raw.sightings.enabled,
                sightings_keep: keep?,
                inside_max: inside_max?,
                lease_max: lease_max?,
                code_memory: code_memory?,
                journal: JournalOptions {
                    segment_bytes_max: raw.journal.segment_bytes_max,
                    total_bytes_max: raw.journal.total_bytes_max,
                },
                journal_kept: DAY * kept_days?,
                waiting_warned_percent: waiting_warned_percent?,
                offline: offline?,
                booth: booth?,
            })
        })();
        problems.into_result(config)
    }
}

fn check_addresses(cloud: &[String], problems: &mut Problems) {
    for address in cloud.iter().filter(|address| !address.starts_with("https://")) {
        problems.add("cloud", format!("`{address}` is not an address like https://host:port"));
    }
    if cloud.is_empty() {
        problems.add("cloud", "name at least one address");
    }
}

/// The inner one is none without the section.
fn booth(
    raw: Option<RawBooth>,
    station: Option<&StationId>,
    devices: &BTreeSet<GateId>,
    problems: &mut Problems,
) -> Option<Option<BoothConfig>> {
    let Some((raw, station)) = raw.zip(station) else { return Some(None) };
    raw.check("booth", station, devices, problems).map(Some)
}

fn offline_limits(raw: raw::RawOffline, problems: &mut Problems) -> Option<OfflineLimits> {
    let age = problems.duration_s("offline.deny_list_age_max_s", raw.deny_list_age_max_s, 60..=90 * 86_400);
    let days = problems.within("offline.days_max", raw.days_max, 1..=90);
    Some(OfflineLimits {
        deny_list_age_max: age?,
        deny_list_stale: match raw.deny_list_stale {
            raw::RawStale::Allow => StaleDenyList::Allow,
            raw::RawStale::Refuse => StaleDenyList::Refuse,
        },
        alone_max: DAY * days?,
    })
}

fn embedding_model(path: &str, raw: RawModel, problems: &mut Problems) -> Option<EmbeddingModel> {
    let model = problems.check(&format!("{path}.model"), ModelId::new(raw.model));
    let calibration = model.and_then(|model| match &raw.calibration {
        Some(file) => problems.check(&format!("{path}.calibration"), calibration::load(file, &model)),
        None => problems.check(&format!("{path}.model"), calibration::shipped(&model)),
    });
    let dims = problems.within(&format!("{path}.dims"), raw.dims, 2..=4096);
    let centre = calibration.as_ref().and_then(|calibration| calibration.centre.as_ref());
    if centre.is_some_and(|centre| centre.len() != raw.dims) {
        problems.add(format!("{path}.dims"), "is not the number of dimensions that the calibration was measured in");
    }
    Some(EmbeddingModel { calibration: calibration?, dims: dims? })
}

fn names(path: &str, given: &[String], taken: &BTreeSet<GateId>, problems: &mut Problems) -> BTreeSet<GateId> {
    let mut names = BTreeSet::new();
    for (i, name) in given.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let Some(id) = problems.check(&path, GateId::new(name.clone())) else { continue };
        if taken.contains(&id) || !names.insert(id) {
            problems.add(path, format!("`{name}` is named twice"));
        }
    }
    names
}
