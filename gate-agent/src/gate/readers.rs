//! What the gate does about its code reader's words.

use facegate_domain::policy::Refusal;
use facegate_domain::tap::Medium;
use tokio::sync::mpsc;

use super::Gate;
use crate::board::Outcome;
use crate::latency::Took;
use crate::reader::ReaderEvent;

/// The next word of the reader; a gate without one waits for ever.
pub(super) async fn heard(reader: &mut Option<mpsc::Receiver<ReaderEvent>>) -> ReaderEvent {
    let event = match reader {
        Some(events) => events.recv().await,
        None => None,
    };
    match event {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

impl Gate {
    pub(super) async fn on_reader(&mut self, event: ReaderEvent) {
        match event {
            ReaderEvent::Online => return self.parts.board.reader(true),
            ReaderEvent::Lost(_) => return self.parts.board.reader(false),
            _ if !self.parts.door.takes_a_rider() => {
                return tracing::info!("something was shown while somebody passes; it has to be shown again");
            }
            _ => {}
        }
        let now_ms = self.now_ms();
        if self.has_ended(now_ms) {
            self.end_approach().await;
        }
        match event {
            ReaderEvent::Text(text) => {
                self.on_code(&text, now_ms).await;
            }
            ReaderEvent::Card => self.on_card(now_ms),
            ReaderEvent::Nonsense(reason) => {
                tracing::info!(reason, "the reader read something that is no ride code");
                self.refuse(Medium::Code, Refusal::CodeNotOurs, Took::default()).await;
            }
            ReaderEvent::Online | ReaderEvent::Lost(_) => {}
        }
    }

    /// The card system lets him through; whoever's face is there now is handled by that alone.
    fn on_card(&mut self, now_ms: u64) {
        self.conclude_code(now_ms);
        self.parts.board.decided(self.now(), Outcome::ByCard, Took::default());
    }
}
