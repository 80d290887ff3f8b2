//! A set of photographs in one folder per person, in a folder or in a tar file, as every face data set can be laid out.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// File name, at any depth, of the optional labels: lines `person,group` under that header.
const GROUPS_FILE: &str = "groups.csv";

/// People and their photographs, in the order of names, whatever the file system says.
#[derive(Debug)]
pub struct IdentitySet {
    pub source: PathBuf,
    pub people: Vec<String>,
    pub photographs: Vec<Photograph>,
    /// Person (index into `people`) to group, where a `groups.csv` says so.
    pub groups: HashMap<usize, String>,
    archive: Option<File>,
}

/// One picture; its bytes are read when asked for and kept nowhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Photograph {
    /// Index into `IdentitySet::people`.
    pub person: usize,
    /// The number at the end of the file's name (`…_0004.jpg`), by which pairs files name photographs.
    pub number: Option<u32>,
    place: Place,
}

#[derive(Debug, Clone, PartialEq)]
enum Place {
    File(PathBuf),
    InArchive { path: PathBuf, offset: u64, size: u64 },
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::InArchive { path, .. } => path,
        }
    }
}

impl IdentitySet {
    /// Lists the JPEG and PNG files below `source`, a folder or a tar file; the folder that holds a file names its
    /// person. A folder that holds no pictures but one tar file stands for that file.
    ///
    /// Errors: `source` cannot be read, or holds no such file.
    pub fn open(source: &Path) -> anyhow::Result<Self> {
        let reading = || format!("cannot read the photographs of {}", source.display());
        let (places, archive) = if source.is_dir() {
            let mut places = Vec::new();
            walk(source, &mut places).with_context(reading)?;
            let is_archive = |place: &&Place| place.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("tar"));
            let archives: Vec<&Place> = places.iter().filter(is_archive).collect();
            if let ([archive], false) = (&archives[..], places.iter().any(|place| is_picture(place.path()))) {
                return Self::open(archive.path());
            }
            (places, None)
        } else {
            let archive = File::open(source).with_context(reading)?;
            (index_archive(&archive).with_context(reading)?, Some(archive))
        };
        let mut set = Self { source: source.to_owned(), ..Self::of(&places) };
        set.archive = archive;
        if set.photographs.is_empty() {
            bail!("{} has no JPEG or PNG file in a folder per person", source.display());
        }
        if let Some(labels) = places.iter().find(|place| place.path().ends_with(GROUPS_FILE)) {
            set.groups = set.read_groups(labels).with_context(|| format!("cannot read {GROUPS_FILE}"))?;
        }
        Ok(set)
    }

    fn of(places: &[Place]) -> Self {
        let mut by_person: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for place in places.iter().filter(|place| is_picture(place.path())) {
            let person = place.path().parent().and_then(Path::file_name).and_then(|name| name.to_str());
            by_person.entry(person.unwrap_or("unnamed")).or_default().push(place);
        }
        let people = by_person.keys().map(|name| (*name).to_owned()).collect();
        let mut photographs = Vec::new();
        for (person, places) in by_person.values_mut().enumerate() {
            places.sort_by(|a, b| a.path().cmp(b.path()));
            let photograph =
                |place: &Place| Photograph { person, number: trailing_number(place.path()), place: place.clone() };
            photographs.extend(places.iter().map(|place| photograph(place)));
        }
        Self { source: PathBuf::new(), people, photographs, groups: HashMap::new(), archive: None }
    }

    /// People of so many photographs each, whose files nobody has: for tests that look at no picture.
    #[cfg(test)]
    pub fn made_up(photographs: &[usize]) -> Self {
        let path = |person: usize, number: usize| format!("{person:04}/{person:04}_{number:04}.jpg").into();
        let of = |(person, count): (usize, &usize)| (1..=*count).map(move |n| Place::File(path(person, n)));
        Self::of(&photographs.iter().enumerate().flat_map(of).collect::<Vec<_>>())
    }

    /// Every `step`-th person alone, for a rough answer.
    pub fn thinned(mut self, step: usize) -> Self {
        self.photographs.retain(|photograph| photograph.person % step == 0);
        self.photographs.iter_mut().for_each(|photograph| photograph.person /= step);
        self.people = self.people.into_iter().step_by(step).collect();
        let groups = self.groups.into_iter().filter(|(person, _)| person % step == 0);
        self.groups = groups.map(|(person, group)| (person / step, group)).collect();
        self
    }

    /// The bytes of a photograph's file.
    pub fn bytes(&self, photograph: &Photograph) -> io::Result<Vec<u8>> {
        self.read(&photograph.place)
    }

    /// Where a photograph lies, for messages.
    pub fn path<'a>(&self, photograph: &'a Photograph) -> &'a Path {
        photograph.place.path()
    }

    /// Photographs by person, in order; everybody has at least one.
    pub fn by_person(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.people.len()];
        for (index, photograph) in self.photographs.iter().enumerate() {
            lists[photograph.person].push(index);
        }
        lists
    }

    fn read(&self, place: &Place) -> io::Result<Vec<u8>> {
        match (place, &self.archive) {
            (Place::InArchive { offset, size, .. }, Some(archive)) => {
                let mut bytes = vec![0; usize::try_from(*size).map_err(io::Error::other)?];
                archive.read_exact_at(&mut bytes, *offset)?;
                Ok(bytes)
            }
            (place, _) => std::fs::read(place.path()),
        }
    }

    fn read_groups(&self, labels: &Place) -> anyhow::Result<HashMap<usize, String>> {
        let index: HashMap<&str, usize> = self.people.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let text = String::from_utf8(self.read(labels)?)?;
        let mut groups = HashMap::new();
        for (line, fields) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
            let (person, group) =
                fields.split_once(',').with_context(|| format!("line {}: want `person,group`", line + 1))?;
            if let Some(person) = index.get(person.trim()) {
                groups.insert(*person, group.trim().to_owned());
            }
        }
        Ok(groups)
    }
}

fn walk(folder: &Path, places: &mut Vec<Place>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, places)?;
        } else {
            places.push(Place::File(path));
        }
    }
    Ok(())
}

fn index_archive(archive: &File) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut reader = tar::Archive::new(archive);
    for entry in reader.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let place = Place::InArchive {
                path: entry.path()?.into_owned(),
                offset: entry.raw_file_position(),
                size: entry.size(),
            };
            // A file that ends before its last entry does is refused now, not half-way through a run.
            io::copy(&mut entry.by_ref().take(1), &mut io::sink())?;
            places.push(place);
        }
    }
    Ok(places)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    matches!(extension.as_deref(), Some("jpg" | "jpeg" | "png"))
}

fn trailing_number(path: &Path) -> Option<u32> {
    let stem = path.file_stem()?.to_str()?;
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[stem.len() - digits..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(root: &Path) {
        for (path, bytes) in
            [("b/b_0002.jpg", "two"), ("b/b_0001.png", "one"), ("a/me.JPEG", "x"), ("a/notes.txt", "no")]
        {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        std::fs::write(root.join(GROUPS_FILE), "person,group\nb, north\nstranger,south\n").unwrap();
    }

    #[test]
    fn a_folder_that_holds_one_tar_file_stands_for_it() {
        let (pictures, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        layout(pictures.path());
        let mut builder = tar::Builder::new(File::create(folder.path().join("set.tar")).unwrap());
        builder.append_dir_all("set", pictures.path()).unwrap();
        builder.finish().unwrap();
        std::fs::write(folder.path().join("pairs.txt"), "1 0").unwrap();
        assert_eq!(IdentitySet::open(folder.path()).unwrap().people, ["a", "b"]);
        std::fs::copy(folder.path().join("set.tar"), folder.path().join("other.tar")).unwrap();
        assert!(IdentitySet::open(folder.path()).is_err());
    }

    #[test]
    fn a_folder_and_a_tar_of_it_are_the_same_set() {
        let folder = tempfile::tempdir().unwrap();
        layout(folder.path());
        let tar = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(tar.as_file());
        builder.append_dir_all("set", folder.path()).unwrap();
        builder.finish().unwrap();
        for source in [folder.path(), tar.path()] {
            let set = IdentitySet::open(source).unwrap();
            assert_eq!(set.people, ["a", "b"]);
            assert_eq!(set.by_person(), [vec![0], vec![1, 2]]);
            let numbers: Vec<_> = set.photographs.iter().map(|p| p.number).collect();
            assert_eq!(numbers, [None, Some(1), Some(2)]);
            assert_eq!(set.bytes(&set.photographs[2]).unwrap(), b"two");
            let half = IdentitySet::open(source).unwrap().thinned(2);
            assert_eq!((half.people, half.photographs.len()), (vec!["a".to_owned()], 1));
            assert_eq!(set.groups, HashMap::from([(1, "north".to_owned())]));
        }
    }

    #[test]
    fn an_empty_folder_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = IdentitySet::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("no JPEG or PNG file"), "{refused}");
    }
}
