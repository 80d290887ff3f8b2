//! What a template is worth: by its own fusion level, among its rider's others, and beside a rival's.

use super::*;

/// Exits of riders of whom the given number, strangers to each other, are inside already.
fn among_riders_inside(riders: usize, photographs: u32, settings: DecisionSettings) -> Gallery {
    let (gallery, mut rng) = (Gallery::new(DIMS, calibration(), settings), StdRng::seed_from_u64(99));
    for sequence in 0..riders {
        let template = enrol_fused(&gallery, &face(&mut rng), photographs);
        gallery.entered(template.rider, RecordId { sequence: sequence as u64, ..entry() }, NOW);
    }
    gallery
}

fn enrol_inside(gallery: &Gallery, embedding: &Embedding, photographs: u32) -> Template {
    let template = enrol_fused(gallery, embedding, photographs);
    gallery.entered(template.rider, entry(), NOW);
    template
}

/// At the level of A's three photographs, B's score is worth e⁻⁷ of what it is at B's own.
#[test]
fn a_rival_is_weighed_by_his_own_template() {
    let mut rng = StdRng::seed_from_u64(15);
    let probe = face(&mut rng);
    let gallery = among_riders_inside(1998, 1, DecisionSettings::default());
    let identify = || gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap();
    let a = enrol_inside(&gallery, &look(&probe, 0.72, &mut rng), 3);
    assert_eq!(recognised(identify()).rider, a.rider);
    enrol_inside(&gallery, &look(&probe, 0.65, &mut rng), 1);
    let verdict = identify();
    assert!(matches!(verdict, Verdict::Ambiguous { risk } if (0.2..0.8).contains(&risk)), "{verdict:?}");
}

#[test]
fn a_far_strangers_template_changes_no_verdict() {
    let mut rng = StdRng::seed_from_u64(16);
    let mate = face(&mut rng);
    let gallery = gallery();
    let template = enrol(&gallery, &mate);
    let far = enrol(&gallery, &face(&mut rng));
    for cosine in [0.5, 0.6, 0.65, 0.7, 0.8] {
        let probe = look(&mate, cosine, &mut rng);
        let identify = || gallery.identify(&probe, FRAMES, Direction::Entry, NOW).unwrap();
        gallery.put(&Template { photographs: 1, ..far.clone() }).unwrap();
        let before = identify();
        gallery.put(&Template { photographs: 3, ..far.clone() }).unwrap();
        let after = identify();
        assert_eq!(std::mem::discriminant(&before), std::mem::discriminant(&after), "{cosine}");
        let (before, after) = (risk_of(&before), risk_of(&after));
        assert!((before - after).abs() < 1e-3 * before, "{cosine}: {before} {after}");
        assert_eq!(gallery.nearest(&probe, 1).unwrap()[0].template, template.id);
    }
}

#[test]
fn a_template_of_one_photograph_is_as_good_among_templates_of_three() {
    let mut rng = StdRng::seed_from_u64(17);
    let mate = face(&mut rng);
    let (singles, fused) = [1, 3].map(|of| among_riders_inside(300, of, DecisionSettings::default())).into();
    let riders = [&singles, &fused].map(|gallery| enrol_inside(gallery, &mate, 1).rider);
    let mut recognitions = 0;
    for step in 40u8..90 {
        let probe = look(&mate, f32::from(step) / 100.0, &mut rng);
        let seen = [&singles, &fused].map(|g| g.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap());
        let who = |i: usize| matches!(&seen[i], Verdict::Recognised(r) if r.rider == riders[i]);
        assert_eq!(who(0), who(1), "{step}: {seen:?}");
        recognitions += usize::from(who(0));
    }
    assert!((20..45).contains(&recognitions), "{recognitions}");
}

/// Of n templates, a stranger resembles one n times as often. So one match is worth an n-th.
#[test]
fn each_further_template_has_its_share_of_a_riders_evidence() {
    let mut rng = StdRng::seed_from_u64(18);
    let (gallery, mate) = (gallery(), face(&mut rng));
    let template = enrol(&gallery, &mate);
    (0..20).for_each(|_| drop(enrol(&gallery, &face(&mut rng))));
    let probe = look(&mate, 0.6, &mut rng);
    let odds = || {
        let risk = risk_of(&gallery.identify(&probe, FRAMES, Direction::Entry, NOW).unwrap());
        (1.0 - risk) / risk
    };
    let put = |embedding: &Embedding| {
        gallery.put(&Template { id: TemplateId::random(), embedding: embedding.clone(), ..template.clone() }).unwrap();
    };
    let alone = odds();
    put(&face(&mut rng));
    put(&face(&mut rng));
    let among_three = odds();
    assert!((among_three * 3.0 / alone - 1.0).abs() < 0.02, "{alone} {among_three}");
    // Templates that all agree are worth what one is.
    let agreeing = super::gallery();
    let first = enrol(&agreeing, &mate);
    (0..20).for_each(|_| drop(enrol(&agreeing, &face(&mut rng))));
    let risk = || risk_of(&agreeing.identify(&probe, FRAMES, Direction::Entry, NOW).unwrap());
    let one = risk();
    agreeing.put(&Template { id: TemplateId::random(), ..first }).unwrap();
    assert!((risk() / one - 1.0).abs() < 0.02);
}

#[test]
fn a_rider_with_two_templates_does_not_hide_his_twin() {
    let mut rng = StdRng::seed_from_u64(19);
    let settings = DecisionSettings { candidates_max: 2, ..DecisionSettings::default() };
    let gallery = Gallery::new(DIMS, calibration(), settings);
    let probe = face(&mut rng);
    let first = enrol(&gallery, &look(&probe, 0.75, &mut rng));
    let again = look(&probe, 0.74, &mut rng);
    gallery.put(&Template { id: TemplateId::random(), embedding: again, ..first.clone() }).unwrap();
    let identify = || gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap();
    assert_eq!(recognised(identify()).rider, first.rider);
    let twin = enrol(&gallery, &look(&probe, 0.73, &mut rng));
    assert!(matches!(identify(), Verdict::Ambiguous { .. }));
    // The same where both are of a tier.
    [first.rider, twin.rider].iter().for_each(|rider| gallery.entered(*rider, entry(), NOW));
    assert!(matches!(identify(), Verdict::Ambiguous { .. }));
    assert_eq!(gallery.nearest(&probe, 2).unwrap().iter().map(|n| n.rider).collect::<Vec<_>>(), [first.rider; 2]);
}
