//! A rider's list of instruments.

use super::*;

fn list(names: &[&str]) -> Instruments {
    names.iter().map(|name| Bound::from(token(name))).collect()
}

#[test]
fn changes_are_made_whole_or_refused() {
    let three = list(&["tok_a", "tok_b", "tok_c"]);
    let id = |name: &str| token(name).id();
    let order = |names: &[&str]| Change::Reorder(names.iter().map(|name| id(name)).collect());
    assert_eq!(three.after(&order(&["tok_c", "tok_a", "tok_b"])), Ok(list(&["tok_c", "tok_a", "tok_b"])));
    assert_eq!(three.after(&order(&["tok_a", "tok_b"])), Err(InstrumentProblem::NotTheSame));
    assert_eq!(three.after(&order(&["tok_a", "tok_b", "tok_b"])), Err(InstrumentProblem::NotTheSame));
    assert_eq!(three.after(&order(&["tok_a", "tok_b", "tok_z"])), Err(InstrumentProblem::Unknown));
    assert_eq!(three.after(&Change::Remove(id("tok_b"))), Ok(list(&["tok_a", "tok_c"])));
    assert_eq!(three.after(&Change::Remove(id("tok_z"))), Err(InstrumentProblem::Unknown));
    assert_eq!(
        three.after(&Change::Only(Instrument::Wallet.into())),
        Ok([Instrument::Wallet.into()].into_iter().collect())
    );
    let limits = Limits { amount_max_minor: Some(500), ..Limits::default() };
    let again = Bound { limits: limits.clone(), ..token("tok_a").into() };
    let changed = three.after(&Change::Add(again)).unwrap();
    assert_eq!((changed.iter().count(), &changed.first().unwrap().limits), (3, &limits), "it keeps its place");
    let many = list(&["tok_1", "tok_2", "tok_3", "tok_4", "tok_5", "tok_6", "tok_7", "tok_8"]);
    assert_eq!(many.after(&Change::Add(token("tok_9").into())), Err(InstrumentProblem::TooMany));
    for limits in [
        Limits { amount_max_minor: Some(0), ..Limits::default() },
        Limits { day_count_max: Some(0), ..Limits::default() },
        Limits { amount_max_minor: Some(2), day_amount_max_minor: Some(1), ..Limits::default() },
    ] {
        let bound = Bound { limits, ..card().into() };
        assert_eq!(three.after(&Change::Add(bound)), Err(InstrumentProblem::Limits));
    }
}

#[test]
fn a_list_does_not_print() {
    let three = list(&["tok_a", "tok_b", "tok_c"]);
    assert_eq!(format!("{three:?}"), "Instruments(3)");
    assert_ne!(token("tok_a").id(), token("tok_b").id());
}
