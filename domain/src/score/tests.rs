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
    decide(candidates, priors, limit(priors, budget))
}

/// For probes of one photograph.
fn limit(priors: &Priors, budget: RiskBudget) -> f64 {
    risk_limit(priors, &calibration().met_by(1), budget)
}

fn city(riders: usize) -> Priors {
    Priors::new(0.85, vec![TierPrior { tier: Tier::City, mass: 0.15, riders }]).unwrap()
}

fn candidate(similarity: f32) -> Candidate {
    let similarity = Similarity::from_cosine(similarity);
    let ln_likelihood_ratio = calibration().at(FusionLevel::SINGLE).ln_likelihood_ratio(similarity);
    Candidate { rider: RiderId::random(), similarity, ln_likelihood_ratio, tiers: vec![Tier::City] }
}

/// Riders of a city and a tier of it, with any evidence whatever.
fn anybody() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (-30.0f64..60.0, any::<bool>()).prop_map(|(ln_likelihood_ratio, inside)| Candidate {
        rider: RiderId::random(),
        similarity: Similarity::from_cosine(0.5),
        ln_likelihood_ratio,
        tiers: if inside { vec![Tier::City, Tier::InSystem] } else { vec![Tier::City] },
    });
    prop::collection::vec(one, 1..8)
}

fn city_with_some_inside() -> Priors {
    let tier = |tier, mass, riders| TierPrior { tier, mass, riders };
    Priors::new(0.85, vec![tier(Tier::InSystem, 0.12, 2_000), tier(Tier::City, 0.03, 3_000_000)]).unwrap()
}

fn accepted(verdict: &Verdict) -> Option<(RiderId, f64)> {
    match verdict {
        Verdict::Recognised(recognition) => Some((recognition.rider, recognition.risk)),
        _ => None,
    }
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
        let limit = risk_limit(&priors, std::slice::from_ref(&evidence), budget());
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

/// Two tiers, and a template level that is worst for each: their sum is what must keep to the budget.
#[test]
fn the_budget_is_kept_by_any_mixture_of_template_levels() {
    let calibration = Calibration {
        levels: vec![
            score_model(FusionLevel::SINGLE, (0.62, 0.09), (0.088, 0.089)),
            score_model(FusionLevel { template: 3, probe: 1 }, (0.70, 0.12), (0.12, 0.095)),
        ],
        ..calibration()
    };
    let (priors, levels) = (city_with_some_inside(), calibration.met_by(1));
    assert_eq!(levels.len(), 2);
    let limit = risk_limit(&priors, &levels, budget());
    let charged = |tier: usize, level: usize| {
        let TierPrior { mass, riders, .. } = priors.tiers[tier];
        let from = threshold(priors.stranger, mass / riders as f64, &levels[level], limit);
        from.map_or(0.0, |s| riders as f64 * levels[level].impostor_share(s))
    };
    for (inside, outside) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert!(charged(0, inside) + charged(1, outside) <= 1e-5, "levels {inside} inside and {outside} outside");
    }
    assert!(levels.iter().all(|level| limit <= risk_limit(&priors, std::slice::from_ref(level), budget())));
}

#[test]
fn the_budget_is_kept_by_riders_of_several_templates() {
    let calibration = calibration();
    let (evidence, riders) = (calibration.at(FusionLevel { template: 1, probe: 3 }), 10_000);
    let mut limits = vec![];
    for each in [1, 2, 5] {
        let priors = city(riders).with_templates(each * riders, riders);
        let limit = risk_limit(&priors, std::slice::from_ref(&evidence), budget());
        // The lowest score of one template with which its rider is accepted, the others saying nothing.
        let accepts = |s: f32| {
            let similarity = Similarity::from_cosine(s);
            let ln_likelihood_ratio = ln_mean_ratio(&[evidence.ln_likelihood_ratio(similarity)], each);
            accepted(&decide(&[Candidate { ln_likelihood_ratio, ..candidate(s) }], &priors, limit)).is_some()
        };
        let from = (0..1000).map(|i| i as f32 / 1000.0).find(|s| accepts(*s)).unwrap();
        let charged = (riders * each) as f64 * evidence.impostor_share(Similarity::from_cosine(from));
        assert!((0.5e-5..=1e-5).contains(&charged) || limit > 0.0099, "{each} each: {charged} at {limit}");
        limits.push(limit);
    }
    assert!(limits.is_sorted_by(|a, b| a >= b), "{limits:?}");
}

#[test]
fn every_sort_of_template_that_a_probe_may_meet_is_among_the_levels_it_reaches() {
    let calibration = Calibration {
        levels: [(1, 1), (1, 3), (3, 1), (3, 3)]
            .map(|(template, probe)| {
                let mean = 0.6 + 0.02 * f64::from(template * probe);
                score_model(FusionLevel { template, probe }, (mean, 0.09), (0.088, 0.089))
            })
            .into(),
        ..calibration()
    };
    let weigh = |evidence: &Evidence<'_>| evidence.ln_likelihood_ratio(Similarity::from_cosine(0.55));
    for probe in 1..6 {
        let met: Vec<f64> = calibration.met_by(probe).iter().map(weigh).collect();
        assert_eq!(met.len(), 2);
        for template in 1..6 {
            assert!(met.contains(&weigh(&calibration.at(FusionLevel { template, probe }))), "{template}+{probe}");
        }
    }
}

#[test]
fn a_rider_is_worth_the_mean_of_what_his_templates_say() {
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    close(ln_mean_ratio(&[7.0], 1), 7.0);
    close(ln_mean_ratio(&[7.0, 7.0, 7.0], 3), 7.0);
    close(ln_mean_ratio(&[7.0], 3), 7.0 - 3f64.ln());
    close(ln_mean_ratio(&[7.0, f64::NEG_INFINITY], 2), 7.0 - 2f64.ln());
    close(ln_mean_ratio(&[7.0, 7.0], 1), 7.0);
    close(ln_mean_ratio(&[9_000.0, 8_000.0], 2), 9_000.0 - 2f64.ln());
    assert_eq!((ln_mean_ratio(&[], 2), ln_mean_ratio(&[f64::NEG_INFINITY], 1)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
}

#[test]
fn evidence_beyond_all_numbers_is_still_decided_by() {
    let with = |ln_likelihood_ratio| Candidate { ln_likelihood_ratio, ..candidate(0.5) };
    let sure = with(50_000.0);
    assert_eq!(accepted(&decide(&[sure.clone(), with(-50_000.0)], &city(9), 0.01)), Some((sure.rider, 0.0)));
    let twins = decide(&[sure, with(50_000.0)], &city(9), 0.01);
    assert!(matches!(twins, Verdict::Ambiguous { risk } if (risk - 0.5).abs() < 1e-9));
    assert_eq!(decide(&[with(f64::NEG_INFINITY)], &city(9), 0.01), Verdict::Unknown { risk: 1.0 });
}

proptest! {
    #[test]
    fn nobody_is_recognised_while_another_is_likelier_than_the_limit(candidates in anybody(), risk_max in 1e-6f64..0.01) {
        let priors = city_with_some_inside();
        let (posteriors, stranger) = posteriors(&candidates, &priors);
        let together = posteriors.iter().sum::<f64>();
        prop_assert!(together <= 1.0 + 1e-12 && (together + stranger - 1.0).abs() < 1e-12);
        prop_assert!(posteriors.iter().all(|posterior| (0.0..=1.0).contains(posterior)));
        if let Some((rider, risk)) = accepted(&decide(&candidates, &priors, risk_max)) {
            prop_assert!(risk <= risk_max && stranger <= risk_max);
            for (candidate, posterior) in candidates.iter().zip(&posteriors) {
                let is_him = candidate.rider == rider;
                prop_assert!(is_him || *posterior <= risk_max);
                prop_assert!(!is_him || *posterior >= 1.0 - risk_max - 1e-12);
            }
        }
    }

    #[test]
    fn more_evidence_for_one_is_never_less_for_him_nor_more_for_others(
        candidates in anybody(), who in any::<prop::sample::Index>(), more in 0.0f64..40.0, risk_max in 1e-6f64..0.01,
    ) {
        let (priors, who) = (city_with_some_inside(), who.index(candidates.len()));
        let mut raised = candidates.clone();
        raised[who].ln_likelihood_ratio += more;
        let (before, after) = (posteriors(&candidates, &priors).0, posteriors(&raised, &priors).0);
        for i in 0..candidates.len() {
            let grown = if i == who { after[i] - before[i] } else { before[i] - after[i] };
            prop_assert!(grown >= -1e-12);
        }
        let (first, then) = (accepted(&decide(&candidates, &priors, risk_max)), accepted(&decide(&raised, &priors, risk_max)));
        match (first, then) {
            (Some((rider, _)), then) if rider == candidates[who].rider => prop_assert_eq!(then.map(|t| t.0), Some(rider)),
            // More evidence for a rival opens the gate for nobody else.
            (first, Some((rider, _))) if rider != candidates[who].rider => prop_assert_eq!(first.map(|f| f.0), Some(rider)),
            _ => (),
        }
    }

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
            prop_assert!(r.risk <= limit(&city(n), budget));
            let best = candidates.iter().max_by(|a, b| a.similarity.cosine().total_cmp(&b.similarity.cosine())).unwrap();
            prop_assert_eq!(r.similarity, best.similarity);
        }
    }
}
