//! TOML to a raw config, going on after an error.
//!
//! serde stops at the first thing it dislikes. So each complaint is noted, the offending key is removed (unknown)
//! or given a stand-in of another type (missing or mistyped), and the table is read again until serde is content.
//! What was read with stand-ins serves only to look for further problems; it never becomes a config.

use std::collections::{BTreeMap, VecDeque};

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Value;

use super::problems::Problems;

/// What could be read. `raw` is absent if some value could not be replaced by any stand-in.
pub(super) struct Reading<R> {
    pub raw: Option<R>,
    pub problems: Problems,
    /// Paths that hold a stand-in.
    pub repaired: Vec<String>,
}

pub(super) fn read<R: DeserializeOwned>(table: toml::Table) -> Reading<R> {
    let mut value = Value::Table(table);
    let mut problems = Problems::new();
    let mut stand_ins = BTreeMap::<String, VecDeque<Value>>::new();
    let raw = loop {
        let complaint = match attempt::<R>(&value, &mut problems) {
            Ok(raw) => break Some(raw),
            Err(complaint) => complaint,
        };
        if !repair(&mut value, &complaint, &mut problems, &mut stand_ins) {
            break None;
        }
    };
    Reading { raw, problems, repaired: stand_ins.into_keys().collect() }
}

struct Complaint {
    path: Vec<Step>,
    message: String,
}

#[derive(Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

fn attempt<R: DeserializeOwned>(value: &Value, problems: &mut Problems) -> Result<R, Complaint> {
    let mut track = serde_path_to_error::Track::new();
    let mut ignored = Vec::new();
    let mut note = |path: serde_ignored::Path<'_>| ignored.push(path.to_string());
    let tracked = serde_path_to_error::Deserializer::new(value.clone(), &mut track);
    let outcome = R::deserialize(serde_ignored::Deserializer::new(tracked, &mut note));
    match outcome {
        Ok(raw) => {
            // Only a raw type without `deny_unknown_fields` lets a key come this far.
            ignored.iter().for_each(|path| problems.add(path.as_str(), "unknown key"));
            Ok(raw)
        }
        Err(error) => Err(Complaint { path: steps(&track.path()), message: error.message().to_owned() }),
    }
}

fn steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// Notes the complaint and changes the value so that reading gets further; false if it cannot.
fn repair(
    value: &mut Value,
    complaint: &Complaint,
    problems: &mut Problems,
    stand_ins: &mut BTreeMap<String, VecDeque<Value>>,
) -> bool {
    let names = quoted(&complaint.message);
    let mut path = complaint.path.clone();
    if complaint.message.starts_with("unknown field") || complaint.message.starts_with("missing field") {
        let Some(field) = names.first().map(|name| Step::Key((*name).to_owned())) else { return false };
        if path.last() != Some(&field) || complaint.message.starts_with("missing") {
            path.push(field);
        }
    }
    let shown = show(&path);
    if complaint.message.starts_with("unknown field") {
        problems.add(shown, unknown_key(names[0], &names[1..]));
        return remove(value, &path);
    }
    let under_a_stand_in = (0..path.len()).any(|end| stand_ins.contains_key(&show(&path[..end])));
    let candidates = stand_ins.entry(shown.clone()).or_insert_with(|| {
        if !under_a_stand_in {
            let missing = complaint.message.starts_with("missing field");
            problems.add(shown, if missing { "missing" } else { complaint.message.as_str() });
        }
        first_stand_ins()
    });
    if complaint.message.starts_with("unknown variant") && candidates.len() < first_stand_ins().len() {
        names.iter().skip(1).for_each(|name| candidates.push_front(Value::String((*name).to_owned())));
    }
    candidates.pop_front().is_some_and(|stand_in| put(value, &path, stand_in))
}

/// One of these satisfies the types that configs are made of.
fn first_stand_ins() -> VecDeque<Value> {
    VecDeque::from([
        Value::String(String::new()),
        Value::Integer(1),
        Value::Boolean(false),
        Value::Float(1.0),
        Value::Array(Vec::new()),
        Value::Table(toml::Table::new()),
        Value::String("127.0.0.1:0".into()),
        Value::String("127.0.0.1".into()),
    ])
}

fn unknown_key(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
    match near {
        Some((distance, near)) if distance <= 2.max(name.len() / 3) => {
            format!("unknown key; did you mean `{near}`?")
        }
        _ if known.is_empty() => "unknown key; none is allowed here".into(),
        _ => format!("unknown key; known here: {}", known.join(", ")),
    }
}

/// The names in backquotes of one of serde's messages.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn show(path: &[Step]) -> String {
    path.iter().fold(String::new(), |shown, step| match step {
        Step::Key(key) if shown.is_empty() => key.clone(),
        Step::Key(key) => format!("{shown}.{key}"),
        Step::Index(index) => format!("{shown}[{index}]"),
    })
}

fn at<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(*index),
    })
}

fn put(value: &mut Value, path: &[Step], stand_in: Value) -> bool {
    let Some((last, parent)) = path.split_last() else { return false };
    match (at(value, parent), last) {
        (Some(Value::Table(table)), Step::Key(key)) => {
            table.insert(key.clone(), stand_in);
            true
        }
        (Some(Value::Array(array)), Step::Index(index)) if *index < array.len() => {
            array[*index] = stand_in;
            true
        }
        _ => false,
    }
}

fn remove(value: &mut Value, path: &[Step]) -> bool {
    let Some((Step::Key(key), parent)) = path.split_last() else { return false };
    at(value, parent).and_then(Value::as_table_mut).is_some_and(|table| table.remove(key).is_some())
}
