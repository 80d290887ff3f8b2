//! Tables of a day, each as CSV and as Parquet, written as rows come: memory holds some rows of each column.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use sha2::{Digest, Sha256};

use super::BooksError;
use crate::store::WrittenFile;

/// Rows of a Parquet row group, and what is held in memory of a table.
const ROWS_MAX: usize = 20_000;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Text(&'static str),
    /// A number, which may be missing.
    Whole(&'static str),
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Whole(name) => name,
        }
    }
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    Whole(Option<i64>),
}

impl Cell {
    pub fn text(text: &(impl ToString + ?Sized)) -> Self {
        Self::Text(text.to_string())
    }
}

/// A table that is being written.
pub struct Table {
    name: &'static str,
    dir: PathBuf,
    csv: csv::Writer<Hashed>,
    parquet: SerializedFileWriter<Hashed>,
    held: Vec<Held>,
    rows: usize,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("name", &self.name).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Values of a column that are not written yet.
enum Held {
    Text(Vec<ByteArray>),
    /// The numbers that are there, and for each row 1 if it has one.
    Whole(Vec<i64>, Vec<i16>),
}

impl Table {
    /// Begins `name.csv` and `name.parquet` in `dir`.
    pub fn create(dir: &Path, name: &'static str, columns: &[Column]) -> Result<Self, BooksError> {
        let open = |ending: &str| Hashed::create(&dir.join(format!("{name}.{ending}")));
        let mut csv = csv::Writer::from_writer(open("csv")?);
        csv.write_record(columns.iter().map(|column| column.name())).map_err(csv_error(dir, name))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let parquet = SerializedFileWriter::new(open("parquet")?, schema(name, columns)?, Arc::new(properties));
        let held = columns.iter().map(|column| match column {
            Column::Text(_) => Held::Text(Vec::new()),
            Column::Whole(_) => Held::Whole(Vec::new(), Vec::new()),
        });
        let parquet = parquet.map_err(parquet_error(dir, name))?;
        Ok(Self { name, dir: dir.to_owned(), csv, parquet, held: held.collect(), rows: 0 })
    }

    /// Writes a row, whose cells are as the columns are.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<(), BooksError> {
        let field = |cell: &Cell| match cell {
            Cell::Text(text) => guarded(text),
            Cell::Whole(number) => number.map_or_else(String::new, |number| number.to_string()),
        };
        self.csv.write_record(row.iter().map(field)).map_err(csv_error(&self.dir, self.name))?;
        for (held, cell) in self.held.iter_mut().zip(row) {
            match (held, cell) {
                (Held::Text(texts), Cell::Text(text)) => texts.push(ByteArray::from(text.into_bytes())),
                (Held::Text(texts), Cell::Whole(_)) => texts.push(ByteArray::from(Vec::new())),
                (Held::Whole(numbers, there), Cell::Whole(number)) => {
                    numbers.extend(number);
                    there.push(i16::from(number.is_some()));
                }
                (Held::Whole(_, there), Cell::Text(_)) => there.push(0),
            }
        }
        self.rows += 1;
        if self.rows == ROWS_MAX { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), BooksError> {
        let written = write_group(&mut self.parquet, &mut self.held);
        self.rows = 0;
        written.map_err(parquet_error(&self.dir, self.name))
    }

    /// Both files, on the disk.
    pub fn finish(mut self) -> Result<[WrittenFile; 2], BooksError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        let (dir, name) = (self.dir, self.name);
        let csv = self.csv.into_inner().map_err(|error| BooksError::Write {
            path: dir.join(format!("{name}.csv")),
            source: std::io::Error::other(error.to_string()),
        })?;
        let parquet = self.parquet.into_inner().map_err(parquet_error(&dir, name))?;
        Ok([csv.finish()?, parquet.finish()?])
    }
}

/// Spreadsheets take a field that begins like this for a formula.
fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn write_group(file: &mut SerializedFileWriter<Hashed>, held: &mut [Held]) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for held in held {
        let Some(mut column) = group.next_column()? else { break };
        match held {
            Held::Text(texts) => {
                column.typed::<ByteArrayType>().write_batch(texts, None, None)?;
                texts.clear();
            }
            Held::Whole(numbers, there) => {
                column.typed::<Int64Type>().write_batch(numbers, Some(there), None)?;
                numbers.clear();
                there.clear();
            }
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

fn schema(name: &'static str, columns: &[Column]) -> Result<TypePtr, BooksError> {
    let field = |column: &Column| match column {
        Column::Text(name) => Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_converted_type(ConvertedType::UTF8)
            .with_repetition(Repetition::REQUIRED)
            .build(),
        Column::Whole(name) => {
            Type::primitive_type_builder(name, Physical::INT64).with_repetition(Repetition::OPTIONAL).build()
        }
    };
    let table = Path::new(name);
    let fields: Result<Vec<TypePtr>, ParquetError> = columns.iter().map(|column| field(column).map(Arc::new)).collect();
    let fields = fields.map_err(parquet_error(table, name))?;
    let schema = Type::group_type_builder(name).with_fields(fields).build();
    schema.map(Arc::new).map_err(parquet_error(table, name))
}

fn csv_error(dir: &Path, name: &str) -> impl FnOnce(csv::Error) -> BooksError {
    let path = dir.join(format!("{name}.csv"));
    |error| BooksError::Write { path, source: std::io::Error::other(error) }
}

fn parquet_error(dir: &Path, name: &str) -> impl FnOnce(ParquetError) -> BooksError {
    let path = dir.join(format!("{name}.parquet"));
    |source| BooksError::Table { path, source }
}

/// A file, and the hash of what was written to it.
#[derive(Debug)]
pub struct Hashed {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Hashed {
    pub fn create(path: &Path) -> Result<Self, BooksError> {
        let file = File::create(path).map_err(BooksError::write(path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 })
    }

    /// On the disk, whatever happens to this machine.
    pub fn finish(mut self) -> Result<WrittenFile, BooksError> {
        let path = &self.path;
        self.file.flush().map_err(BooksError::write(path))?;
        self.file.get_ref().sync_all().map_err(BooksError::write(path))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(WrittenFile { name, bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) })
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn both_files_hold_every_row_and_are_named_by_their_hash() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::create(dir.path(), "bills", &[Column::Text("bill"), Column::Whole("minor")]).unwrap();
        for n in 0..45_000_i64 {
            table.push(vec![Cell::text(&format!("b,{n}")), Cell::Whole((n % 3 != 0).then_some(n))]).unwrap();
        }
        table.push(vec![Cell::text("=1+1"), Cell::Whole(Some(-5))]).unwrap();
        let files = table.finish().unwrap();
        for file in &files {
            let bytes = std::fs::read(dir.path().join(&file.name)).unwrap();
            assert_eq!((file.bytes, &file.sha256), (bytes.len() as u64, &hex::encode(Sha256::digest(&bytes))));
        }
        let csv = std::fs::read_to_string(dir.path().join("bills.csv")).unwrap();
        assert!(csv.starts_with("bill,minor\n\"b,0\",\n\"b,1\",1\n") && csv.ends_with("'=1+1,-5\n"), "{csv:.60}");
        let reader = SerializedFileReader::new(File::open(dir.path().join("bills.parquet")).unwrap()).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 3);
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 45_001);
        assert_eq!((rows[44_999].get_string(0).unwrap().as_str(), rows[4].get_long(1).unwrap()), ("b,44999", 4));
        assert!(rows[3].get_long(1).is_err(), "a number that is missing");
    }
}
