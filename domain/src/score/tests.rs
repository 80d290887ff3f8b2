//! The decision rule as a table: what N, tier, crowd and a twin do to the same similarity.

use proptest::prelude::*;

use super::*;
use crate::ids::ModelId;

/// Two normal distributions of scores as a table, as `eval calibrate` would write it.
fn score_model(level: FusionLevel, mated: (f64, f64), impostor: (f64, f64)) -> ScoreModel {
    let density = |(mean, sigma): (f64, f64), s: f64| (-0.5 * ((s - mean) / sigma).powi(2)).exp() / sigma;
    let similarity: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0 - 0.1).collect();
    let mut ratio: Vec<f64> = similarity.iter().map(|s| (density(mated, *s) / density(impostor, *s)).ln()).collect();
    for i in (0..ratio.len() - 1).rev() {
        ratio[i] = ratio[i].min(ratio[i + 1]);
    }
    let norm = 100.0 * std::f64::consts::TAU.sqrt();
    let share = |from: f64| -> f64 { (0..300).map(|i| density(impostor, from + f64::from(i) / 100.0) / norm).sum() };
    ScoreModel {
        level,
        mated_pairs: 1000,
        impostor_pairs: 1_000_000,
        tail_index: -0.04,
        extrapolated_from: 0.5,
        ln_impostor_share: similarity.iter().map(|s| share(*s).min(1.0).ln()).collect(),
        similarity,
        ln_likelihood_ratio: ratio,
    }
}

fn calibration() -> Calibration {
    Calibration {
        model: ModelId::new("sface").unwrap(),
        provenance: "test".into(),
        provisional: true,
        centre: None,
        sighting: SightingModel { correlation: 0.8, expected_rider_max: 1e-3 },
        levels: vec![
            score_model(FusionLevel::SINGLE, (0.62, 0.09), (0.088, 0.089)),
            score_model(FusionLevel { template: 1, probe: 3 }, (0.75, 0.08), (0.1, 0.088)),
        ],
    }
}

fn judge(candidates: &[Candidate], priors: &Priors, budget: RiskBudget) -> Verdict {
    decide(candidates, priors, &calibration().at(FusionLevel::SINGLE), budget)
}

fn city(riders: usize) -> Priors {
    Priors::new(0.85, vec![TierPrior { tier: Tier::City, mass: 0.15, riders }]).unwrap()
}

fn candidate(similarity: f32) -> Candidate {
    Candidate { rider: RiderId::random(), similarity: Similarity::from_cosine(similarity), tiers: vec![Tier::City] }
}

fn budget() -> RiskBudget {
    RiskBudget::false_charges_per_million(10.0).unwrap()
}

#[test]
fn a_good_score_in_a_small_gallery_is_recognised() {
    let mate = candidate(0.7);
    let verdict = judge(&[candidate(0.2), mate.clone()], &city(10), budget());
    assert!(matches!(verdict, Verdict::Recognised(r) if r.rider == mate.rider && r.tier == Tier::City));
}

#[test]
fn the_same_score_among_three_million_is_not_enough() {
    let verdict = judge(&[candidate(0.7)], &city(3_000_000), budget());
    assert!(matches!(verdict, Verdict::Unknown { .. }));
}

#[test]
fn a_narrow_tier_carries_what_the_city_cannot() {
    let priors = Priors::new(
        0.85,
        vec![
            TierPrior { tier: Tier::InSystem, mass: 0.14, riders: 500 },
            TierPrior { tier: Tier::City, mass: 0.01, riders: 3_000_000 },
        ],
    )
    .unwrap();
    let mut inside = candidate(0.7);
    inside.tiers.push(Tier::InSystem);
    let verdict = judge(&[inside], &priors, budget());
    assert!(matches!(verdict, Verdict::Recognised(r) if r.tier == Tier::InSystem));
}

#[test]
fn twins_split_the_posterior_and_are_asked_for_a_code() {
    let verdict = judge(&[candidate(0.66), candidate(0.65)], &city(10), budget());
    assert!(matches!(verdict, Verdict::Ambiguous { .. }), "{verdict:?}");
}

#[test]
fn an_empty_gallery_knows_nobody() {
    assert_eq!(judge(&[], &city(0), budget()), Verdict::Unknown { risk: 1.0 });
}

#[test]
fn a_calibration_file_with_impossible_figures_is_refused() {
    let good = calibration();
    assert_eq!(Calibration::parse(&toml::to_string(&good).unwrap()), Ok(good.clone()));
    let refusal = |wrong: &Calibration| Calibration::parse(&toml::to_string(wrong).unwrap()).unwrap_err().to_string();
    let with = |change: &dyn Fn(&mut Calibration)| {
        let mut wrong = good.clone();
        change(&mut wrong);
        refusal(&wrong)
    };
    assert!(with(&|c| drop(c.levels.remove(0))).contains("no level of one photograph"));
    assert!(with(&|c| c.sighting.expected_rider_max = 0.0).contains("expected_rider_max"));
    assert!(with(&|c| c.centre = Some(vec![1.0; 4])).contains("centre"));
    assert!(with(&|c| c.levels[1].similarity.reverse()).contains("level 1+3: similarity must rise"));
    assert!(with(&|c| c.levels[0].ln_likelihood_ratio[60] = 0.0).contains("must never fall"));
    assert!(with(&|c| c.levels[0].ln_impostor_share[60] = 0.0).contains("never rise"));
    assert!(with(&|c| c.levels[0].similarity.truncate(3)).contains("one length"));
    let text = toml::to_string(&good).unwrap();
    assert!(matches!(Calibration::parse(&format!("extra = 1\n{text}")), Err(InvalidCalibration::Syntax(_))));
}

#[test]
fn of_the_levels_that_a_probe_reaches_the_one_counts_that_makes_least_of_a_score() {
    let calibration = calibration();
    let (one, three) = (FusionLevel::SINGLE, FusionLevel { template: 1, probe: 5 });
    let at = |level, s| calibration.at(level).ln_likelihood_ratio(Similarity::from_cosine(s));
    assert!(at(three, 0.55) < at(one, 0.55), "three fused frames should score higher than this");
    assert!((0..100).all(|i| at(three, i as f32 / 100.0) <= at(one, i as f32 / 100.0)));
    assert_eq!(at(FusionLevel { template: 0, probe: 1 }, 0.9), f64::NEG_INFINITY);
}

#[test]
fn the_budget_is_kept_over_all_passages_and_spent() {
    let calibration = calibration();
    let evidence = calibration.at(FusionLevel::SINGLE);
    for riders in [100, 10_000, 3_000_000] {
        let priors = city(riders);
        let limit = risk_limit(&priors, &evidence, budget());
        let from = threshold(0.85, 0.15 / riders as f64, &evidence, limit);
        let charged = from.map_or(0.0, |s| riders as f64 * evidence.impostor_share(s));
        assert!(charged <= 1e-5, "{riders} riders: {charged}");
        assert!(charged > 0.9e-5 || limit > 0.0099, "{riders} riders leave the budget unspent: {charged} at {limit}");
    }
}

#[test]
fn an_empty_tiers_mass_is_somewhere_in_the_city_and_an_empty_citys_with_the_strangers() {
    let tier = |tier, mass, riders| TierPrior { tier, mass, riders };
    let of = |tiers| Priors::new(0.85, tiers).unwrap();
    let plain = of(vec![tier(Tier::City, 0.15, 100)]);
    assert_eq!(of(vec![tier(Tier::InSystem, 0.12, 0), tier(Tier::City, 0.03, 100)]), plain);
    assert_eq!(of(vec![tier(Tier::InSystem, 0.12, 0), tier(Tier::City, 0.03, 0)]).stranger, 1.0);
}

proptest! {
    #[test]
    fn a_higher_similarity_never_weighs_less_nor_beyond_the_bound(a in -1.0f32..1.0, b in -1.0f32..1.0, frames in 1u32..6) {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let calibration = calibration();
        let evidence = calibration.at(FusionLevel { template: 1, probe: frames });
        let weigh = |s| evidence.ln_likelihood_ratio(Similarity::from_cosine(s));
        prop_assert!(weigh(low) <= weigh(high));
        prop_assert!(weigh(high) <= *calibration.levels[0].ln_likelihood_ratio.last().unwrap());
        prop_assert!(evidence.impostor_share(Similarity::from_cosine(low)) >= evidence.impostor_share(Similarity::from_cosine(high)));
    }

    #[test]
    fn the_score_of_an_evidence_has_it(wanted in -20.0f64..60.0) {
        let calibration = calibration();
        let evidence = calibration.at(FusionLevel { template: 1, probe: 3 });
        match evidence.similarity_of(wanted) {
            Some(similarity) => prop_assert!(evidence.ln_likelihood_ratio(similarity) >= wanted - 1e-6),
            None => prop_assert!(evidence.ln_likelihood_ratio(Similarity::from_cosine(1.0)) < wanted),
        }
    }

    #[test]
    fn an_accepted_risk_is_always_within_the_budget(scores in prop::collection::vec(-0.2f32..1.0, 0..8), n in 1usize..100_000, budget in 0.01f64..1000.0) {
        let budget = RiskBudget::false_charges_per_million(budget).unwrap();
        let candidates: Vec<_> = scores.iter().map(|s| candidate(*s)).collect();
        if let Verdict::Recognised(r) = judge(&candidates, &city(n), budget) {
            let calibration = calibration();
            prop_assert!(r.risk <= risk_limit(&city(n), &calibration.at(FusionLevel::SINGLE), budget));
            let best = candidates.iter().max_by(|a, b| a.similarity.cosine().total_cmp(&b.similarity.cosine())).unwrap();
            prop_assert_eq!(r.similarity, best.similarity);
        }
    }
}
