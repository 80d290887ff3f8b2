//! The bodies in the aisle: which beam's change is whose, and what became of each.

use super::{Aisle, Beam, Finding};
use crate::aisle::PassageToken;
use crate::tap::{PassageOutcome, Remark, Remarks};

/// Where a body came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Entry,
    Exit,
}

#[derive(Debug, Clone)]
pub(super) struct Body {
    pub id: u64,
    pub from: From,
    pub token: Option<PassageToken>,
    /// The furthest beam that it has broken, in its own direction.
    pub reached: Beam,
    pub entered_ms: u64,
    /// When the door was opened for it.
    pub granted_ms: u64,
    pub touched_ms: u64,
    pub entry_cleared_ms: Option<u64>,
    /// Right behind another.
    pub is_close: bool,
    /// In no beam for longer than a child.
    pub is_short: bool,
    pub remarks: Remarks,
    broken_ms: [Option<u64>; 3],
    seen: [bool; 3],
    /// Somebody was in the entry beam after this one had come to mid.
    entry_since_mid: bool,
    alarmed: bool,
}

impl Body {
    pub fn new(id: u64, from: From, at: Beam, token: Option<PassageToken>, now_ms: u64) -> Self {
        let mut body = Self {
            id,
            from,
            token,
            reached: at,
            entered_ms: now_ms,
            granted_ms: now_ms,
            touched_ms: now_ms,
            entry_cleared_ms: None,
            is_close: false,
            is_short: true,
            remarks: Remarks::default(),
            broken_ms: [None; 3],
            seen: [false; 3],
            entry_since_mid: false,
            alarmed: false,
        };
        body.breaks(at, now_ms);
        body
    }

    /// In the entry beam, waiting to be let through.
    pub fn awaits_a_token(&self) -> bool {
        self.from == From::Entry && self.token.is_none() && self.reached == Beam::Entry
    }

    /// So far: the beams that it is still in count too.
    fn looks_short(&self, now_ms: u64, child_break_ms: u64) -> bool {
        let in_beams = self.broken_ms.iter().flatten();
        self.is_short && in_beams.into_iter().all(|since| now_ms.saturating_sub(*since) <= child_break_ms)
    }

    fn breaks(&mut self, beam: Beam, now_ms: u64) {
        self.broken_ms[beam as usize] = Some(now_ms);
        self.seen[beam as usize] = true;
        self.touched_ms = now_ms;
    }

    fn clears(&mut self, beam: Beam, now_ms: u64, child_break_ms: u64) {
        let broken = self.broken_ms[beam as usize].take();
        self.is_short &= broken.is_none_or(|since| now_ms.saturating_sub(since) <= child_break_ms);
        self.touched_ms = now_ms;
        if beam == Beam::Entry {
            self.entry_cleared_ms = Some(now_ms);
        }
    }
}

impl Aisle {
    pub(super) fn changed(&mut self, beam: Beam, broken: bool) {
        let known = self.found.len();
        // A silent beam that sees somebody is believed from this change on.
        self.beams.look(self.now_ms, &mut self.found);
        if self.found.len() > known {
            self.forget_distrusted();
        }
        if !self.beams.is_trusted(beam) {
            return;
        }
        match (broken, beam) {
            (true, Beam::Entry) => self.entry_broken(),
            (true, Beam::Mid) => self.mid_broken(),
            (true, Beam::Exit) => self.exit_broken(),
            (false, _) => self.cleared(beam),
        }
        self.see_wheelchairs();
    }

    fn entry_broken(&mut self) {
        let (now, gap) = (self.now_ms, self.policy.luggage_gap_ms);
        if let Some(body) = self.first(|b| b.from == From::Exit && b.reached == Beam::Mid) {
            body.reached = Beam::Entry;
            let id = body.id;
            body.breaks(Beam::Entry, now);
            return self.beams.hold(Beam::Entry, id);
        }
        let last = self.bodies.iter_mut().rev().find(|b| b.from == From::Entry);
        if let Some(body) = last
            && body.entry_cleared_ms.is_some_and(|at| now.saturating_sub(at) <= gap)
        {
            body.remarks = body.remarks.with(Remark::Luggage);
            body.entry_since_mid |= body.reached == Beam::Mid;
            let id = body.id;
            body.breaks(Beam::Entry, now);
            return self.beams.hold(Beam::Entry, id);
        }
        for body in self.bodies.iter_mut().filter(|b| b.from == From::Entry && b.reached == Beam::Mid) {
            body.entry_since_mid = true;
        }
        self.enter(From::Entry, Beam::Entry);
    }

    fn mid_broken(&mut self) {
        let now = self.now_ms;
        let goes_on = |b: &Body| match b.from {
            From::Entry => b.reached == Beam::Entry,
            From::Exit => b.reached == Beam::Exit,
        };
        if let Some(body) = self.first(goes_on) {
            body.reached = Beam::Mid;
            let (id, from) = (body.id, body.from);
            body.breaks(Beam::Mid, now);
            self.beams.hold(Beam::Mid, id);
            return if from == From::Exit { self.found.push(Finding::ReverseEntry) } else { self.watch(id) };
        }
        // Somebody in the middle stands, swings a bag, or steps back.
        if let Some(body) = self.first(|b| b.reached != Beam::Entry) {
            let id = body.id;
            body.breaks(Beam::Mid, now);
            return self.beams.hold(Beam::Mid, id);
        }
        self.enter(From::Entry, Beam::Mid);
        self.bodies.back().map(|body| body.id).into_iter().for_each(|id| self.watch(id));
    }

    fn exit_broken(&mut self) {
        let now = self.now_ms;
        let mid_blind = !self.beams.is_trusted(Beam::Mid);
        let entry_held: Vec<u64> =
            self.bodies.iter().map(|b| b.id).filter(|id| self.beams.is_held_by(Beam::Entry, *id)).collect();
        // From the entry beam straight into the exit beam: mid is blind, or has missed him.
        let skips = |b: &Body| b.reached == Beam::Entry && (mid_blind || !entry_held.contains(&b.id));
        let comes = |b: &Body| b.from == From::Entry && (b.reached != Beam::Entry || skips(b));
        if let Some(body) = self.first(comes) {
            body.reached = Beam::Exit;
            let id = body.id;
            body.breaks(Beam::Exit, now);
            self.beams.hold(Beam::Exit, id);
            return self.watch(id);
        }
        let luggage = self.left_ms.is_some_and(|at| now.saturating_sub(at) <= self.policy.luggage_gap_ms);
        if !luggage {
            self.enter(From::Exit, Beam::Exit);
        }
    }

    fn cleared(&mut self, beam: Beam) {
        let Some(holder) = self.beams.let_go(beam) else { return };
        let (now, short) = (self.now_ms, self.policy.child_break_ms);
        let Some(body) = self.first(|b| b.id == holder) else { return };
        body.clears(beam, now, short);
        let (from, reached) = (body.from, body.reached);
        let gone = match from {
            // His luggage is still in the aisle.
            From::Entry => beam == Beam::Exit && reached == Beam::Exit && !self.beams.holds_any(holder),
            From::Exit => beam == Beam::Entry && reached == Beam::Entry,
        };
        if gone {
            if from == From::Entry {
                self.left_ms = Some(now);
            }
            self.leaves(holder);
        }
    }

    /// Raises the alarm if nothing authorises the body that has come so far.
    fn watch(&mut self, id: u64) {
        let Some(place) = self.bodies.iter().position(|b| b.id == id) else { return };
        let body = &mut self.bodies[place];
        if body.token.is_some() || body.alarmed {
            return;
        }
        if body.is_close && body.looks_short(self.now_ms, self.policy.child_break_ms) {
            return self.remark_ahead(place, Remark::Child);
        }
        body.alarmed = true;
        self.found.push(Finding::Tailgated);
        self.remark_ahead(place, Remark::Tailgated);
    }

    fn remark_ahead(&mut self, place: usize, remark: Remark) {
        let ahead = self.bodies.iter_mut().take(place).rev().find(|b| b.token.is_some());
        if let Some(body) = ahead {
            body.remarks = body.remarks.with(remark);
        }
    }

    fn see_wheelchairs(&mut self) {
        let spans: Vec<u64> = (self.bodies.iter().map(|b| b.id))
            .filter(|id| Beam::ALL.into_iter().all(|beam| self.beams.is_held_by(beam, *id)))
            .collect();
        for body in self.bodies.iter_mut().filter(|b| spans.contains(&b.id)) {
            body.remarks = body.remarks.with(Remark::Wheelchair);
        }
    }

    /// The body is out of the aisle, or has to be taken for it.
    fn leaves(&mut self, id: u64) {
        let Some(place) = self.bodies.iter().position(|b| b.id == id) else { return };
        let Some(mut body) = self.bodies.remove(place) else { return };
        self.beams.let_go_all(id);
        let outcome = self.outcome(&body);
        if body.from == From::Entry && outcome == PassageOutcome::Passed && body.is_short {
            body.remarks = body.remarks.with(Remark::Child);
        }
        if let Some(token) = body.token {
            if outcome == PassageOutcome::Unknown {
                body.remarks = body.remarks.with(Remark::Contradicted);
            }
            self.conclude(token, outcome, body.remarks);
        }
        if self.bodies.is_empty() {
            self.empty_since_ms = self.now_ms;
        }
    }

    fn outcome(&mut self, body: &Body) -> PassageOutcome {
        if body.from == From::Exit {
            return PassageOutcome::TurnedBack;
        }
        let trusted = |beam: Beam| self.beams.is_trusted(beam);
        let missed: Vec<Beam> =
            Beam::ALL.into_iter().filter(|b| trusted(*b) && *b < body.reached && !body.seen[*b as usize]).collect();
        let exit_blind = !trusted(Beam::Exit);
        let judged = self.can_judge();
        match body.reached {
            _ if !judged => PassageOutcome::Unknown,
            Beam::Exit => {
                Beam::ALL.into_iter().for_each(|beam| self.beams.judge(beam, missed.contains(&beam)));
                if missed.is_empty() { PassageOutcome::Passed } else { PassageOutcome::Unknown }
            }
            Beam::Entry => PassageOutcome::TurnedBack,
            Beam::Mid if body.entry_since_mid => PassageOutcome::TurnedBack,
            // He went on and nobody came back over the entry beam.
            Beam::Mid if exit_blind && missed.is_empty() => PassageOutcome::Passed,
            Beam::Mid => {
                self.beams.judge(Beam::Exit, true);
                PassageOutcome::Unknown
            }
        }
    }

    /// Whom only beams have seen that are not believed any more was never there.
    pub(super) fn forget_distrusted(&mut self) {
        let unseen =
            |b: &Body| Beam::ALL.into_iter().all(|beam| !b.seen[beam as usize] || !self.beams.is_trusted(beam));
        let (gone, kept) = std::mem::take(&mut self.bodies).into_iter().partition(unseen);
        self.bodies = kept;
        let gone: std::collections::VecDeque<Body> = gone;
        gone.iter().for_each(|body| self.give_up(body));
        if self.bodies.is_empty() && !gone.is_empty() {
            self.empty_since_ms = self.now_ms;
        }
    }

    pub(super) fn expire(&mut self) {
        let (now, policy) = (self.now_ms, self.policy);
        let over = |body: &Body| {
            let quiet = now.saturating_sub(body.touched_ms);
            let bound = if body.reached == Beam::Entry { policy.turn_ms } else { policy.linger_ms };
            let (in_beam, age) = (self.beams.holds_any(body.id), now.saturating_sub(body.entered_ms));
            (!in_beam && quiet >= bound) || age >= policy.passage_max_ms
        };
        let gone: Vec<u64> = self.bodies.iter().filter(|body| over(body)).map(|body| body.id).collect();
        for id in gone {
            self.leaves(id);
        }
        // He stands in the entry beam before the open door and does not come.
        let beams = &self.beams;
        let hesitates = |b: &Body| {
            let waited = now.saturating_sub(b.granted_ms) >= 2 * policy.open_ms;
            b.reached == Beam::Entry && waited && beams.is_held_by(Beam::Entry, b.id)
        };
        let mut late = Vec::new();
        for body in self.bodies.iter_mut().filter(|b| hesitates(b)) {
            late.extend(body.token.take());
        }
        if let Some((token, at)) = self.waiting.front().copied() {
            let empty_ms = now.saturating_sub(at.max(self.empty_since_ms));
            let nobody_comes = self.bodies.is_empty() && empty_ms >= policy.open_ms;
            if nobody_comes || now.saturating_sub(at) >= policy.passage_max_ms {
                self.waiting.pop_front();
                self.empty_since_ms = now;
                late.push(token);
            }
        }
        late.into_iter().for_each(|token| self.conclude(token, PassageOutcome::TimedOut, Remarks::default()));
    }

    fn first(&mut self, which: impl Fn(&Body) -> bool) -> Option<&mut Body> {
        self.bodies.iter_mut().find(|body| which(body))
    }
}
