//! The station's ticket booth: a page on which an attendant who has signed in sees why gates refuse, writes down an entry that
//! no gate saw, lets a rider out and opens a gate once. It works without the cloud: what is done is a record of the booth's own
//! journal, kept and handed on like those of the gates.

mod acts;
mod config;
mod pages;
mod rider;
mod view;

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;

use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::DeviceIdentity;
use facegate_runtime::sign_in::attendants::Attendance;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use self::acts::{ActError, Asked, What, act, conclude};
pub use self::config::{BoothConfig, RawBooth};
use self::rider::Shown;
use crate::station::Station;

/// The booth of one station.
pub struct Booth {
    pub station: Arc<Station>,
    pub config: BoothConfig,
    attendance: Attendance,
    shown: Shown,
    /// Where a rider is is looked at and changed in one step.
    acting: Mutex<()>,
}

impl fmt::Debug for Booth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Booth({}, {} attendants)", self.config.listen, self.config.attendants.len())
    }
}

impl Booth {
    pub fn new(station: Arc<Station>, config: BoothConfig) -> Self {
        let attendance = Attendance::new(config.attendants.clone(), Arc::clone(&station.clock));
        Self { station, config, attendance, shown: Shown::default(), acting: Mutex::default() }
    }

    /// Whether the page is for this machine alone, and without TLS.
    pub fn is_local(&self) -> bool {
        self.config.listen.ip().is_loopback()
    }
}

/// Serves the page until `stop`. On loopback as it is; otherwise under the station's certificate, to anybody who signs in.
pub async fn serve(
    station: Arc<Station>,
    config: BoothConfig,
    listener: TcpListener,
    identity: DeviceIdentity,
    stop: CancellationToken,
) {
    if let Err(error) = conclude(&station, &config.recorder).await {
        tracing::error!(%error, "what a crash cut short at the booth is still open");
    }
    let booth = Arc::new(Booth::new(station, config));
    let (address, local) = (booth.config.listen, booth.is_local());
    tracing::info!(%address, tls = !local, "the booth's page is served");
    let pages = pages::router(booth);
    let served = if local {
        http::serve_loopback(listener, pages, stop).await
    } else {
        http::serve(listener, pages, ServerTls::without_client_certificates(&identity), stop).await
    };
    if let Err(error) = served {
        tracing::error!(%error, "the booth's page is not served any more");
    }
}
