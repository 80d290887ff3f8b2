//! A reader on a serial line: eight bits, no parity, one stop bit.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use serial2_tokio::SerialPort;

use super::Device;

/// See the module's description.
pub struct SerialDevice {
    path: PathBuf,
    baud: u32,
    line: Option<SerialPort>,
}

impl SerialDevice {
    pub const fn new(path: PathBuf, baud: u32) -> Self {
        Self { path, baud, line: None }
    }
}

#[async_trait]
impl Device for SerialDevice {
    async fn open(&mut self) -> io::Result<()> {
        // The old one first: two would share what is said.
        self.line = None;
        self.line = Some(SerialPort::open(&self.path, self.baud)?);
        Ok(())
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut bytes = [0; 256];
        match line.read(&mut bytes).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the serial line has ended")),
            read => Ok(bytes[..read].to_vec()),
        }
    }
}

impl std::fmt::Debug for SerialDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SerialDevice({})", self.path.display())
    }
}
