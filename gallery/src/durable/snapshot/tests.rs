//! Snapshots of what does not stand still, and files that no snapshot should be.

use facegate_domain::face::Template;
use facegate_domain::ids::TemplateId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::durable::tests::{DIMS, contents, format, model, template};

fn numbered(number: u32, version: u32) -> Template {
    let id = TemplateId::from_bytes([number.to_be_bytes(); 4].concat().try_into().unwrap());
    Template { id, ..template(version) }
}

#[test]
fn rows_that_change_more_often_than_the_index_remembers_are_as_they_were_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::new(model(), DIMS);
    (0..9000).for_each(|number| index.put(&numbered(number, 0)).unwrap());
    let mut rng = StdRng::seed_from_u64(1);
    let faces: Vec<_> = (0..50).map(|version| numbered(0, version)).collect();
    let mut change = |times: usize| {
        for _ in 0..times {
            // Removals win for a while and puts for another, so that the last row falls below what is written and rises.
            let number = rng.random_range(0..12_000);
            if rng.random_bool(0.5) {
                let Template { id, rider, .. } = numbered(number, 0);
                index.put(&Template { id, rider, ..faces[rng.random_range(0..50)].clone() }).unwrap();
            } else {
                index.remove(numbered(number, 0).id);
            }
        }
    };
    let mut writer = Writer::create(dir.path(), &format(), &index).unwrap();
    let mut pieces = 0;
    while writer.next_rows(&index).unwrap() {
        change(40_000);
        pieces += 1;
    }
    assert!(pieces > 1);
    for times in [30_000, 20_000, 5_000] {
        writer.look(&index, |_| true).unwrap();
        writer.changed_rows(&index).unwrap();
        change(times);
    }
    writer.rows(&index).unwrap();
    assert!(writer.changed.len() <= ROWS_AT_THE_END, "few are left for the lock");
    change(500);
    writer.end(&index, 7).unwrap();
    writer.finish().unwrap();
    let mut read_back = Index::new(model(), DIMS);
    assert_eq!(read(dir.path(), &format(), &mut read_back).unwrap(), 7);
    assert!(contents(&read_back) == contents(&index), "every row, with its face");
    assert_eq!(read_back.riders(), index.riders());
}

/// A sealed snapshot of these pieces, read.
fn read_pieces(pieces: &[Vec<u8>]) -> Result<u64, DurableError> {
    let dir = tempfile::tempdir().unwrap();
    let mut file = Output::create(&dir.path().join(NAME)).unwrap();
    let mut sealed = format().begin(Kind::Snapshot, 0, &mut file).unwrap();
    pieces.iter().for_each(|piece| sealed.write(&mut piece.clone(), &mut file).unwrap());
    read(dir.path(), &format(), &mut Index::new(model(), DIMS))
}

#[test]
fn two_rows_of_one_template_gaps_and_what_is_no_row_are_refused() {
    let index = Index::new(model(), DIMS);
    let row = |number| {
        let mut bytes = Vec::new();
        index.row(&template(number)).unwrap().put_into(&mut bytes);
        bytes
    };
    let piece = |kind: u8, number: u64, rest: &[u8]| [&[kind], number.to_le_bytes().as_slice(), rest].concat();
    let end = |len: u64| piece(END, 5, &len.to_le_bytes());
    let rows = |numbers: &[u32]| piece(ROWS, 0, &numbers.iter().flat_map(|number| row(*number)).collect::<Vec<_>>());
    let changed = |at: u32, number| piece(CHANGED, 0, &[at.to_le_bytes().as_slice(), &row(number)].concat());
    assert_eq!(read_pieces(&[rows(&[1, 2]), changed(1, 3), changed(2, 2), end(3)]).unwrap(), 5);
    assert_eq!(read_pieces(&[rows(&[1, 1]), changed(1, 2), end(2)]).unwrap(), 5, "what counts is the end");
    let refused = [
        vec![rows(&[1, 2, 1]), end(3)],
        vec![rows(&[1, 2]), changed(0, 2), end(2)],
        vec![rows(&[1, 2]), changed(3, 3), end(2)],
        vec![rows(&[1, 2]), end(3)],
        vec![rows(&[1, 2])],
        vec![piece(ROWS, 0, &row(1)[1..]), end(1)],
        vec![piece(3, 0, &[]), end(0)],
        vec![rows(&[1]), end(1), rows(&[1])],
        vec![vec![ROWS]],
    ];
    for (i, pieces) in refused.iter().enumerate() {
        assert!(matches!(read_pieces(pieces), Err(DurableError::Damaged { .. })), "{i}");
    }
}
