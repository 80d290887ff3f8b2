use std::io::Write;

use facegate_domain::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

#[derive(Debug)]
struct StandingStill;

impl Clock for StandingStill {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
    fn monotonic_ms(&self) -> u64 {
        0
    }
}

const CONTENT: &[u8] = b"a portrait";

fn sdist() -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in [("faces-1.0/a/one.jpg", CONTENT), ("faces-1.0/other", b"unwanted")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, path, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A manifest of one package with one file.
fn manifest(package_sha256: &str, path: &str, file_sha256: &str) -> Manifest {
    let text = format!(
        r#"
        model = []
        [[package]]
        name = "faces"
        version = "1.0"
        kind = "sdist"
        file = "faces-1.0.tar.gz"
        sha256 = "{package_sha256}"
        licence = "MIT"
        why = "test"
        [[file]]
        package = "faces"
        path = "{path}"
        sha256 = "{file_sha256}"
        licence = "CC0"
        credit = "nobody"
        to = "people/one.jpg"
        "#
    );
    toml::from_str(&text).unwrap()
}

struct Bench {
    mirror: tempfile::TempDir,
    home: tempfile::TempDir,
    said: Vec<String>,
}

impl Bench {
    fn new(archive: &[u8]) -> Self {
        let (mirror, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(mirror.path().join("faces-1.0.tar.gz"), archive).unwrap();
        Self { mirror, home, said: Vec::new() }
    }

    fn fetch(&mut self, manifest: &Manifest) -> Result<(), FetchError> {
        self.fetch_with(manifest, &Selection::Required)
    }

    fn fetch_with(&mut self, manifest: &Manifest, selection: &Selection) -> Result<(), FetchError> {
        let (home, said) = (Home::at(self.home.path()), &mut self.said);
        let mut report = |line: &str| said.push(line.to_owned());
        fetch(manifest, &home, selection, Some(self.mirror.path()), &StandingStill, &mut report)
    }

    fn fetched(&self) -> Option<Vec<u8>> {
        fs::read(self.home.path().join("people/one.jpg")).ok()
    }
}

fn sha(bytes: &[u8]) -> String {
    Sha256Hex::of(bytes).as_str().to_owned()
}

#[test]
fn a_file_is_fetched_once_with_its_licence_and_mended_when_damaged() {
    let archive = sdist();
    let manifest = manifest(&sha(&archive), "a/one.jpg", &sha(CONTENT));
    let mut bench = Bench::new(&archive);
    bench.fetch(&manifest).unwrap();
    assert_eq!(bench.fetched().as_deref(), Some(CONTENT));
    assert!(bench.said.iter().any(|line| line.contains("CC0, nobody")), "{:?}", bench.said);

    bench.said.clear();
    bench.fetch(&manifest).unwrap();
    assert_eq!(bench.said, ["1 files present and verified in 0 ms, 0 to fetch"]);

    let home = Home::at(bench.home.path());
    fs::write(bench.home.path().join("people/one.jpg"), b"damaged").unwrap();
    assert_eq!(verify(&manifest, &home)[0].got, Some(sha(b"damaged")));
    bench.fetch(&manifest).unwrap();
    assert_eq!(verify(&manifest, &home), []);
}

#[test]
fn a_wrong_package_is_refused_and_nothing_of_it_is_used() {
    let archive = sdist();
    let mut bench = Bench::new(&archive[..archive.len() - 1]);
    let refused = bench.fetch(&manifest(&sha(&archive), "a/one.jpg", &sha(CONTENT)));
    assert!(matches!(refused, Err(FetchError::WrongPackage { .. })), "{refused:?}");
    assert_eq!(bench.fetched(), None);
}

#[test]
fn a_wrong_or_absent_file_inside_a_right_package_is_refused_by_name() {
    let archive = sdist();
    let mut bench = Bench::new(&archive);
    let refused = bench.fetch(&manifest(&sha(&archive), "a/one.jpg", &sha(b"another")));
    assert!(matches!(refused, Err(FetchError::WrongFile { path, .. }) if path == "a/one.jpg"));
    let refused = bench.fetch(&manifest(&sha(&archive), "a/two.jpg", &sha(CONTENT)));
    assert!(matches!(refused, Err(FetchError::NotInPackage { path, .. }) if path == "a/two.jpg"));
    assert_eq!(bench.fetched(), None);
}

#[test]
fn a_wheel_is_unpacked_too_and_no_archive_at_all_is_refused() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("lib/x.so", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(CONTENT).unwrap();
    let wheel = zip.finish().unwrap().into_inner();
    let found = unpack::from_zip(&wheel, &["lib/x.so", "lib/y.so"]).unwrap();
    assert_eq!((found.len(), found["lib/x.so"].as_slice()), (1, CONTENT));
    assert!(unpack::from_zip(b"no zip", &["x"]).is_err());
    assert!(unpack::from_tar_gz(b"no gzip", &["x"]).is_err());
}

#[test]
fn an_optional_file_may_be_missing_is_fetched_when_named_and_then_must_be_right() {
    let archive = sdist();
    let mut manifest = manifest(&sha(&archive), "a/one.jpg", &sha(CONTENT));
    manifest.files[0].required = false;
    let mut bench = Bench::new(&archive);
    let home = Home::at(bench.home.path());
    bench.fetch(&manifest).unwrap();
    assert_eq!((bench.fetched(), verify(&manifest, &home)), (None, vec![]));
    let refused = bench.fetch_with(&manifest, &Selection::With(vec!["faecs".into()]));
    assert!(matches!(refused, Err(FetchError::UnknownName { name }) if name == "faecs"));
    bench.fetch_with(&manifest, &Selection::With(vec!["faces".into()])).unwrap();
    assert_eq!(bench.fetched().as_deref(), Some(CONTENT));
    fs::write(bench.home.path().join("people/one.jpg"), b"damaged").unwrap();
    assert_eq!(verify(&manifest, &home).len(), 1);
}

#[test]
fn an_npm_package_is_unpacked_like_a_source_package_and_a_loose_one_is_the_file_itself() {
    let archive = sdist();
    let mut manifest = manifest(&sha(&archive), "a/one.jpg", &sha(CONTENT));
    manifest.packages[0].kind = PackageKind::Npm;
    let mut bench = Bench::new(&archive);
    bench.fetch(&manifest).unwrap();
    assert_eq!(bench.fetched().as_deref(), Some(CONTENT));

    let mut bench = Bench::new(CONTENT);
    manifest.packages[0].kind = PackageKind::Loose;
    manifest.packages[0].sha256 = Sha256Hex::of(CONTENT);
    manifest.files[0].path.clone_from(&manifest.packages[0].file);
    bench.fetch(&manifest).unwrap();
    assert_eq!(bench.fetched().as_deref(), Some(CONTENT));
    fs::remove_file(bench.mirror.path().join("faces-1.0.tar.gz")).unwrap();
    fs::remove_file(bench.home.path().join("people/one.jpg")).unwrap();
    let refused = bench.fetch(&manifest).unwrap_err();
    assert!(
        matches!(refused, FetchError::OnlyFromFolder { .. }) && refused.to_string().contains("--from"),
        "{refused}"
    );
}

#[test]
fn every_part_of_a_model_is_checked_before_it_is_converted() {
    let archive = sdist();
    let mut manifest = manifest(&sha(&archive), "a/one.jpg", &sha(CONTENT));
    let mut model = Manifest::built_in().models.swap_remove(0);
    model.package = "faces".into();
    model.path = "a/one.jpg".into();
    model.sha256 = Sha256Hex::of(CONTENT);
    let weights = |content: &[u8]| crate::manifest::Part { path: "other".into(), sha256: Sha256Hex::of(content) };
    model.weights = Some(weights(b"changed"));
    manifest.models.push(model);
    let mut bench = Bench::new(&archive);
    let refused = bench.fetch(&manifest);
    assert!(matches!(refused, Err(FetchError::WrongFile { path, .. }) if path == "other"));
    manifest.models[0].weights = Some(weights(b"unwanted"));
    let refused = bench.fetch(&manifest);
    assert!(matches!(refused, Err(FetchError::Conversion { .. })), "{refused:?}");
}
