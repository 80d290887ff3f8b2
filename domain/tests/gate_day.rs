//! A day of a gate on a simulated clock, with beams that bounce, contradict and die: every authorisation is concluded once,
//! nothing grows, and when it is quiet the gate is at rest.

use facegate_domain::aisle::{Aisle, AisleEvent, AislePolicy, Beam, Finding, PassageToken, Saw};
use facegate_domain::gate::{Gate, GateCommand, GateEvent, GateState, Rest};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Longest that one passage may take, whatever the beams do.
const QUIET_MS: u64 = 600_000;

/// Chance that is the same for a seed (`xorshift64*`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % bound
    }
}

struct Day {
    seed: u64,
    dice: Dice,
    gate: Gate,
    aisle: Aisle,
    now_ms: u64,
    event: u64,
    granted: u64,
    concluded: Vec<u64>,
    /// The beam that says nothing now.
    dead: Option<Beam>,
}

impl Day {
    fn new(seed: u64) -> Self {
        let aisle = Aisle::new(AislePolicy::default());
        let (gate, dice) = (Gate::default(), Dice(seed * 0x9E37_79B9 + 1));
        Self { seed, dice, gate, aisle, now_ms: 0, event: 0, granted: 0, concluded: vec![], dead: None }
    }

    fn see(&mut self, saw: Saw) {
        if matches!(saw, Saw::Broken(beam) | Saw::Cleared(beam) if self.dead == Some(beam)) {
            return;
        }
        self.event += 1;
        let event = AisleEvent { number: self.event, at_ms: self.now_ms, saw };
        let found = self.aisle.on(event);
        self.follow(found);
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.now_ms = until.min(self.now_ms + 50);
            let found = self.aisle.tick(self.now_ms);
            self.follow(found);
        }
    }

    fn follow(&mut self, found: Vec<Finding>) {
        for finding in found {
            match finding {
                Finding::Entered(token) => drop(self.gate.on(GateEvent::Entered(token.sequence))),
                Finding::Concluded { token, outcome, .. } => {
                    let command = self.gate.on(GateEvent::Concluded(token.sequence, outcome));
                    assert!(
                        matches!(command, GateCommand::CloseAndStore(..) | GateCommand::Store(..)),
                        "seed {}: {token} was not under way: {:?}",
                        self.seed,
                        self.gate
                    );
                    self.concluded.push(token.sequence);
                    self.gate.on(GateEvent::PassageStored(token.sequence));
                    if matches!(command, GateCommand::CloseAndStore(..)) {
                        self.see(Saw::Closed);
                    }
                }
                Finding::BeamFault(..) | Finding::BeamWell(_) => {
                    let rest = if self.aisle.can_judge() { Rest::InService } else { Rest::OutOfService };
                    self.gate.on(GateEvent::Told(rest));
                }
                Finding::Tailgated | Finding::ReverseEntry => {}
            }
        }
    }

    /// Somebody is authorised, if the gate takes him.
    fn grant(&mut self) {
        if self.gate.state.takes_a_rider() && self.gate.on(GateEvent::Granted) == GateCommand::StoreAuthorisation {
            self.granted += 1;
            self.gate.on(GateEvent::AuthorisationStored(self.granted));
            self.see(Saw::Opened(PassageToken { epoch: 1, sequence: self.granted }));
        }
    }

    fn walk(&mut self) {
        let turns_back = self.dice.below(20) == 0;
        self.see(Saw::Broken(Beam::Entry));
        let mut step = 150 + self.dice.below(400);
        self.pass(step);
        if !turns_back {
            self.see(Saw::Broken(Beam::Mid));
        }
        self.see(Saw::Cleared(Beam::Entry));
        if turns_back {
            return;
        }
        if self.dice.below(3) == 0 {
            self.grant();
        }
        step = 150 + self.dice.below(400);
        self.pass(step);
        self.see(Saw::Broken(Beam::Exit));
        self.see(Saw::Cleared(Beam::Mid));
        self.pass(step);
        self.see(Saw::Cleared(Beam::Exit));
    }

    fn something_happens(&mut self) {
        let beam = Beam::ALL[usize::try_from(self.dice.below(3)).unwrap_or(0)];
        match self.dice.below(100) {
            0..=79 => {
                self.grant();
                if self.dice.below(15) > 0 {
                    let waits = self.dice.below(900);
                    self.pass(waits);
                    self.walk();
                }
            }
            80..=84 => self.walk(),
            85..=91 => {
                for _ in 0..self.dice.below(120) {
                    let saw = if self.dice.below(2) == 0 { Saw::Broken(beam) } else { Saw::Cleared(beam) };
                    self.see(saw);
                    let ms = self.dice.below(60);
                    self.pass(ms);
                }
            }
            92 => self.see(Saw::Broken(beam)),
            93..=95 => self.see(Saw::Cleared(beam)),
            96 => self.dead = Some(beam),
            _ => self.dead = None,
        }
        let ms = self.dice.below(3_000);
        self.pass(ms);
    }
}

#[test]
fn a_day_leaves_no_gate_stuck_and_nothing_behind() {
    for seed in 1..=4 {
        let mut day = Day::new(seed);
        while day.now_ms < DAY_MS {
            for _ in 0..200 {
                day.something_happens();
                assert!(day.aisle.in_hand().count() <= 4, "seed {seed}: {:?}", day.aisle);
            }
            // Everybody has gone.
            day.dead = None;
            Beam::ALL.into_iter().for_each(|beam| day.see(Saw::Cleared(beam)));
            day.pass(QUIET_MS);
            assert_eq!(day.gate.state, GateState::Idle, "seed {seed} at {} ms: {:?}", day.now_ms, day.aisle);
            assert!(day.aisle.is_at_rest(), "seed {seed} at {} ms: {:?}", day.now_ms, day.aisle);
        }
        let concluded = day.concluded.len();
        let mut each = day.concluded;
        each.sort_unstable();
        each.dedup();
        println!("seed {seed}: {} authorised, {} concluded, {} reports", day.granted, concluded, day.event);
        assert_eq!((each.len(), concluded), (concluded, usize::try_from(day.granted).unwrap_or(0)), "seed {seed}");
    }
}
