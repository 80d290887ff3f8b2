//! The decision rule as a table: what N, tier, crowd and a twin do to the same similarity.

use proptest::prelude::*;

use super::*;

fn calibration() -> Calibration {
    Calibration {
        model: ModelId::new("sface").unwrap(),
        provenance: "test".into(),
        provisional: true,
        mated: NormalScores { mean: 0.62, sigma: 0.09 },
        impostor: NormalScores { mean: 0.088, sigma: 0.089 },
        ln_likelihood_ratio_max: 21.0,
    }
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
    let verdict = decide(&[candidate(0.2), mate.clone()], &city(10), &calibration(), budget());
    assert!(matches!(verdict, Verdict::Recognised(r) if r.rider == mate.rider && r.tier == Tier::City));
}

#[test]
fn the_same_score_among_three_million_is_not_enough() {
    let verdict = decide(&[candidate(0.7)], &city(3_000_000), &calibration(), budget());
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
    let verdict = decide(&[inside], &priors, &calibration(), budget());
    assert!(matches!(verdict, Verdict::Recognised(r) if r.tier == Tier::InSystem));
}

#[test]
fn twins_split_the_posterior_and_are_asked_for_a_code() {
    let verdict = decide(&[candidate(0.66), candidate(0.65)], &city(10), &calibration(), budget());
    assert!(matches!(verdict, Verdict::Ambiguous { .. }), "{verdict:?}");
}

#[test]
fn an_empty_gallery_knows_nobody() {
    assert_eq!(decide(&[], &city(0), &calibration(), budget()), Verdict::Unknown { risk: 1.0 });
}

#[test]
fn a_calibration_file_with_impossible_figures_is_refused() {
    let good = toml::to_string(&calibration()).unwrap();
    assert!(Calibration::parse(&good).is_ok());
    assert!(matches!(
        Calibration::parse(&good.replace("sigma = 0.09", "sigma = 0.0")),
        Err(InvalidCalibration::Value(_))
    ));
    assert!(matches!(Calibration::parse(&format!("{good}\nextra = 1")), Err(InvalidCalibration::Syntax(_))));
}

proptest! {
    #[test]
    fn a_higher_similarity_never_weighs_less(a in -1.0f32..1.0, b in -1.0f32..1.0, mated_sigma in 0.05f64..0.2) {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let c = Calibration { mated: NormalScores { mean: 0.62, sigma: mated_sigma }, ..calibration() };
        let weigh = |s| c.ln_likelihood_ratio(Similarity::from_cosine(s));
        prop_assert!(weigh(low) <= weigh(high) + 1e-9);
    }

    #[test]
    fn an_accepted_risk_is_always_within_the_budget(scores in prop::collection::vec(-0.2f32..1.0, 0..8), n in 1usize..100_000, budget in 0.01f64..1000.0) {
        let budget = RiskBudget::false_charges_per_million(budget).unwrap();
        let candidates: Vec<_> = scores.iter().map(|s| candidate(*s)).collect();
        if let Verdict::Recognised(r) = decide(&candidates, &city(n), &calibration(), budget) {
            prop_assert!(r.risk <= budget.risk_max());
            let best = candidates.iter().max_by(|a, b| a.similarity.cosine().total_cmp(&b.similarity.cosine())).unwrap();
            prop_assert_eq!(r.similarity, best.similarity);
        }
    }
}
