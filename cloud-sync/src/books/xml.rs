//! Reads XML from a bank, as a tree, with limits, and trusting none of it: no document type (hence no entities of its own,
//! and no bombs of them), one namespace, a bounded depth and size.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// A statement of a year is smaller.
pub const BYTES_MAX: usize = 64 << 20;
const DEPTH_MAX: usize = 40;
const ELEMENTS_MAX: usize = 2_000_000;

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("the file is larger than {} MiB; ask the bank for statements of shorter times", BYTES_MAX >> 20)]
    TooLarge,
    #[error("it has a document type, with which entities can be defined: no statement has one; nothing of it is read")]
    DocumentType,
    #[error("elements lie deeper in each other than {DEPTH_MAX}; this is no statement")]
    TooDeep,
    #[error("there are more than {ELEMENTS_MAX} elements; ask the bank for statements of shorter times")]
    TooMany,
    #[error("the namespace is `{found}`, and `{expected}` is read here; ask the bank for that version")]
    Namespace { found: String, expected: &'static str },
    #[error("it is not well-formed, or was cut short: {0}; fetch it again")]
    Malformed(String),
    #[error("{path}: {what}")]
    Content { path: String, what: String },
}

/// An element without its prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    pub name: String,
    pub text: String,
    /// The currency of an amount; no other attribute is kept.
    pub currency: Option<String>,
    pub children: Vec<Element>,
}

impl Element {
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first along a path like `Acct/Id/IBAN`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| element.children.iter().find(|child| child.name == name))
    }

    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path).map(|element| element.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The same, where there has to be one.
    pub fn need(&self, path: &str) -> Result<&Self, XmlError> {
        self.at(path).ok_or_else(|| self.content(path, "is missing".to_owned()))
    }

    pub fn content(&self, path: &str, what: String) -> XmlError {
        XmlError::Content { path: format!("{}/{path}", self.name), what }
    }

    /// Every text below it.
    pub fn texts(&self, into: &mut Vec<String>) {
        if !self.text.is_empty() {
            into.push(self.text.clone());
        }
        self.children.iter().for_each(|child| child.texts(into));
    }
}

/// Reads a document whose every element is of `namespace`.
pub fn read(bytes: &[u8], namespace: &'static str) -> Result<Element, XmlError> {
    if bytes.len() > BYTES_MAX {
        return Err(XmlError::TooLarge);
    }
    let mut reader = NsReader::from_reader(bytes);
    let (mut open, mut elements, mut root) = (Vec::<Element>::new(), 0, None);
    let malformed = |error: &dyn std::fmt::Display| XmlError::Malformed(error.to_string());
    let mut buffer = Vec::new();
    loop {
        let (resolved, event) = reader.read_resolved_event_into(&mut buffer).map_err(|error| malformed(&error))?;
        match event {
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Start(ref start) | Event::Empty(ref start) => {
                is_of(&resolved, namespace)?;
                elements += 1;
                if elements > ELEMENTS_MAX {
                    return Err(XmlError::TooMany);
                }
                if open.len() == DEPTH_MAX {
                    return Err(XmlError::TooDeep);
                }
                if root.is_some() {
                    return Err(malformed(&"there is a second root"));
                }
                let element = element(start)?;
                if matches!(event, Event::Empty(_)) {
                    close(element, &mut open, &mut root);
                } else {
                    open.push(element);
                }
            }
            Event::End(_) => {
                let ended = open.pop().ok_or_else(|| malformed(&"an element ends that was not begun"))?;
                close(ended, &mut open, &mut root);
            }
            Event::Text(text) => {
                add_text(&text.xml10_content(), &mut open)?;
            }
            Event::CData(data) => {
                add_text(&data.xml10_content(), &mut open)?;
            }
            Event::GeneralRef(reference) => {
                let resolved = reference.resolve_char_ref().map_err(|error| malformed(&error))?;
                let character = resolved.map(String::from);
                let known = quick_xml::escape::resolve_predefined_entity(&reference).map(str::to_owned);
                let text =
                    character.or(known).ok_or_else(|| malformed(&format!("there is no entity {}", &*reference)))?;
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        buffer.clear();
    }
    if !open.is_empty() {
        return Err(malformed(&"it ends within an element"));
    }
    root.ok_or_else(|| malformed(&"there is nothing in it"))
}

fn is_of(resolved: &ResolveResult<'_>, expected: &'static str) -> Result<(), XmlError> {
    let found = match resolved {
        ResolveResult::Bound(namespace) => namespace.0.to_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(prefix) => format!("{prefix}:"),
    };
    if found == expected { Ok(()) } else { Err(XmlError::Namespace { found, expected }) }
}

fn element(start: &BytesStart<'_>) -> Result<Element, XmlError> {
    let malformed = |error: &dyn std::fmt::Display| XmlError::Malformed(error.to_string());
    let name = start.local_name().as_ref().to_owned();
    let mut currency = None;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(&error))?;
        if attribute.key.as_ref() == "Ccy" {
            currency = Some(attribute.value.into_owned());
        }
    }
    Ok(Element { name, currency, ..Element::default() })
}

fn add_text(text: &str, open: &mut [Element]) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(element) => {
            element.text.push_str(text);
            Ok(())
        }
        None if text.trim().is_empty() => Ok(()),
        None => Err(XmlError::Malformed("there is text outside of the document".to_owned())),
    }
}

fn close(mut element: Element, open: &mut [Element], root: &mut Option<Element>) {
    element.text = element.text.trim().to_owned();
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: &str = "urn:test";

    fn refused(text: &str) -> String {
        read(text.as_bytes(), NAMESPACE).unwrap_err().to_string()
    }

    #[test]
    fn elements_texts_and_currencies_are_read() {
        let text =
            "<?xml version=\"1.0\"?>\n<p:A xmlns:p=\"urn:test\"><p:B Ccy=\"CNY\">1 &lt;&#50;</p:B><p:C/></p:A>\n";
        let root = read(text.as_bytes(), NAMESPACE).unwrap();
        assert_eq!((root.name.as_str(), root.children.len()), ("A", 2));
        let b = root.at("B").unwrap();
        assert_eq!((b.text.as_str(), b.currency.as_deref()), ("1 <2", Some("CNY")));
        assert!(root.need("C/D").unwrap_err().to_string().contains("A/C/D: is missing"));
    }

    #[test]
    fn what_is_hostile_or_broken_is_refused() {
        let bomb = "<!DOCTYPE A [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><A xmlns=\"urn:test\">&b;</A>";
        assert!(refused(bomb).contains("document type"));
        assert!(refused("<A xmlns=\"urn:test\">&b;</A>").contains("no entity b"));
        assert!(refused("<A xmlns=\"urn:other\"/>").contains("urn:other"));
        assert!(refused("<A/>").contains("namespace"));
        assert!(refused("<A xmlns=\"urn:test\"><B xmlns=\"urn:other\"/></A>").contains("urn:other"));
        let deep = format!("<A xmlns=\"urn:test\">{}", "<B>".repeat(100));
        assert!(refused(&deep).contains("deeper"));
        let whole = "<A xmlns=\"urn:test\"><B>text</B></A>";
        read(whole.as_bytes(), NAMESPACE).unwrap();
        for end in 0..whole.len() {
            assert!(read(&whole.as_bytes()[..end], NAMESPACE).is_err(), "cut to {end} bytes");
        }
        for broken in
            ["<A xmlns=\"urn:test\"></B>", "<A xmlns=\"urn:test\"/>x", "<A xmlns=\"urn:test\"/><A xmlns=\"urn:test\"/>"]
        {
            assert!(read(broken.as_bytes(), NAMESPACE).is_err(), "{broken}");
        }
    }
}
