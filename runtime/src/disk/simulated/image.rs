//! Copies of a whole disk, as backups and clones of machines are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::SimDisk;
use super::file::{FileId, SimFile};
use crate::kv::simulated::SimContent;

/// What was durable on a disk at one moment.
#[derive(Clone, Debug)]
pub struct DiskImage {
    files: BTreeMap<PathBuf, SimFile>,
    databases: BTreeMap<PathBuf, SimContent>,
}

impl SimDisk {
    pub fn image(&self) -> DiskImage {
        let state = self.state();
        let files =
            state.durable_names.iter().filter_map(|(path, id)| Some((path.clone(), state.files.get(id)?.image())));
        let databases = state.databases.iter().map(|(dir, content)| (dir.clone(), content.image()));
        DiskImage { files: files.collect(), databases: databases.collect() }
    }

    /// The disk of the machine is exchanged for one with this content. Handles and locks from before are dead.
    pub fn put_back(&self, image: &DiskImage) {
        let mut state = self.state();
        let files: Vec<_> =
            image.files.iter().map(|(path, file)| (path.clone(), FileId::next(), file.clone())).collect();
        state.names = files.iter().map(|(path, id, _)| (path.clone(), *id)).collect();
        state.durable_names = state.names.clone();
        state.files = files.into_iter().map(|(_, id, file)| (id, file)).collect();
        state.databases = image.databases.clone();
        state.name_changes.clear();
        state.locked.clear();
        state.boot += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::Disk;
    use crate::kv::KvOptions;

    const OPTIONS: KvOptions = KvOptions { cache_bytes: 0, flush_every_ms: None, syncs: true };

    #[tokio::test]
    async fn a_disk_that_is_put_back_is_as_it_was_when_it_was_copied() {
        let (disk, path, dir) = (SimDisk::new(), Path::new("dir/file"), Path::new("db"));
        let file = disk.create(path).unwrap();
        file.write_at(0, b"old").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("dir")).unwrap();
        let tree = disk.database(dir, OPTIONS).unwrap().root();
        tree.insert(b"key", b"old").unwrap();
        disk.database(dir, OPTIONS).unwrap().commit().await.unwrap();
        let image = disk.image();
        file.write_at(0, b"new").unwrap();
        file.sync_data().unwrap();
        disk.create(Path::new("dir/more")).unwrap();
        tree.insert(b"key", b"new").unwrap();
        disk.put_back(&image);
        assert!(file.size().is_err() && tree.get(b"key").is_err(), "handles from before are dead");
        assert_eq!(disk.content(path).unwrap(), b"old");
        assert_eq!(disk.list(Path::new("dir")).unwrap(), ["file"]);
        let tree = disk.database(dir, OPTIONS).unwrap().root();
        assert_eq!(tree.get(b"key").unwrap().unwrap(), b"old".to_vec());
    }

    #[test]
    fn a_disk_that_lies_loses_the_last_sync_and_no_more() {
        let mut kept = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let (disk, path) = (SimDisk::new(), Path::new("dir/file"));
            let file = disk.create(path).unwrap();
            disk.sync_dir(Path::new("dir")).unwrap();
            disk.lie_about_syncs();
            for round in 0..3 {
                file.write_at(round, b"x").unwrap();
                file.sync_data().unwrap();
            }
            disk.cut_power(seed);
            disk.restore_power();
            kept.insert(disk.content(path).unwrap().iter().filter(|byte| **byte == b'x').count());
        }
        assert_eq!(kept, std::collections::BTreeSet::from([2, 3]));
    }
}
