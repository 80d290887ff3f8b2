//! Checkpoints as PyTorch wrote them, made here word by word.

use super::*;

fn text(value: &str) -> Vec<u8> {
    let mut word = vec![b'X'];
    word.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    word.extend(value.as_bytes());
    word
}

/// `{"w": tensor(2×3 view of six floats, with the strides given), "n": a counter}` and its storages.
fn checkpoint(strides: [u8; 2], global: &str) -> Vec<u8> {
    let mut file = [&b"\x80\x02\x8a\x0a"[..], &MAGIC, b"."].concat();
    file.extend(b"\x80\x02M\xe9\x03.");
    file.extend(b"\x80\x02}q\x00.");
    file.extend(b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(");
    for (name, kind, key, count, dims) in
        [("w", "FloatStorage", "7", 6, &[2, 3][..]), ("n", "LongStorage", "8", 1, &[])]
    {
        file.extend(text(name));
        file.extend(format!("c{global}\n").as_bytes());
        file.extend(b"((");
        file.extend(text("storage"));
        file.extend(format!("ctorch\n{kind}\n").as_bytes());
        file.extend(text(key));
        file.extend(text("cpu"));
        file.extend([b'K', count, b'N', b't', b'Q', b'K', 0, b'(']);
        file.extend(dims.iter().flat_map(|d| [b'K', *d]));
        file.extend(b"t(");
        file.extend(dims.iter().zip(strides).flat_map(|(_, s)| [b'K', s]));
        file.extend(b"t\x89h\x00)RtR");
    }
    file.extend(b"u}");
    file.extend(text("_metadata"));
    file.extend(b"}sb.");
    file.extend(b"\x80\x02](");
    file.extend(text("7"));
    file.extend(text("8"));
    file.extend(b"e.");
    file.extend(6_u64.to_le_bytes());
    (1_u8..=6).for_each(|v| file.extend(f32::from(v).to_le_bytes()));
    file.extend(1_u64.to_le_bytes());
    file.extend(9_i64.to_le_bytes());
    file
}

const REBUILD: &str = "torch._utils\n_rebuild_tensor_v2";

#[test]
fn float_tensors_are_read_in_row_major_order_whatever_their_strides() {
    let plain = read(&checkpoint([3, 1], REBUILD)).unwrap();
    assert_eq!(plain.len(), 1);
    assert_eq!(plain["w"], Weights { dims: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] });
    let turned = read(&checkpoint([1, 2], REBUILD)).unwrap();
    assert_eq!(turned["w"].values, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
}

#[test]
fn a_view_beyond_its_storage_is_refused_by_name() {
    assert_eq!(read(&checkpoint([4, 1], REBUILD)), Err(UnreadableCheckpoint::BadTensor("w".into())));
}

#[test]
fn a_name_that_could_run_something_is_refused() {
    let refused = read(&checkpoint([3, 1], "os\nsystem")).unwrap_err();
    assert!(refused.to_string().contains("the name os.system"), "{refused}");
}

#[test]
fn a_file_cut_anywhere_is_refused_without_a_panic() {
    let whole = checkpoint([3, 1], REBUILD);
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    assert_eq!(
        read(b"PK\x03\x04 a newer one"),
        Err(UnreadableCheckpoint::Unsupported { at: 1, what: "word 0x50".into() })
    );
}
