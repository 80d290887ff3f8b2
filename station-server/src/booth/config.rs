//! `[booth]`: where the page is, and who may use it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use facegate_domain::booth::recorder;
use facegate_domain::ids::{GateId, StationId};
use facegate_runtime::config::Problems;
use facegate_runtime::sign_in::attendants::{Attendant, RawAttendant};
use serde::Deserialize;

/// `[booth]` as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBooth {
    pub listen: String,
    #[serde(default)]
    pub attendants: Vec<RawAttendant>,
}

#[derive(Debug, Clone)]
pub struct BoothConfig {
    /// On loopback without TLS; reached from other machines under the station's certificate.
    pub listen: SocketAddr,
    pub attendants: Vec<Attendant>,
    /// Under which name the booth writes its journal.
    pub recorder: GateId,
}

impl RawBooth {
    /// `devices`: the gates and cameras, whose names are taken.
    pub fn check(
        &self,
        path: &str,
        station: &StationId,
        devices: &BTreeSet<GateId>,
        problems: &mut Problems,
    ) -> Option<BoothConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let listen = problems.address(&at("listen"), &self.listen);
        let attendants = RawAttendant::check(&self.attendants, &at("attendants"), problems);
        if self.attendants.is_empty() {
            problems.add(at("attendants"), "name at least one attendant, or nobody can sign in");
        }
        let recorder = problems.check(path, recorder(station));
        if let Some(taken) = recorder.as_ref().filter(|recorder| devices.contains(recorder)) {
            problems
                .add(path, format!("the booth writes its journal as `{taken}`: give that gate or camera another name"));
        }
        Some(BoothConfig { listen: listen?, attendants: attendants?, recorder: recorder? })
    }
}
