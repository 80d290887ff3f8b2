//! The list of what the build and the model fetcher call, and how to see whether it is there.
//!
//! Each is asked for by doing what the build will do with it, not by a package's name: a compiler from elsewhere is as good.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::command::answers;
use crate::postgres;

/// Something the machine must have.
pub struct Need {
    pub what: &'static str,
    pub why: &'static str,
    /// What Debian and Ubuntu call it.
    pub packages: &'static [&'static str],
    pub present: fn() -> bool,
}

pub const NEEDS: &[Need] = &[
    Need {
        what: "cmake",
        why: "builds the sources of FAISS and libjpeg-turbo that their crates bring",
        packages: &["cmake"],
        present: || answers(Command::new("cmake").arg("--version")),
    },
    Need {
        what: "NASM",
        why: "assembles libjpeg-turbo's vector code (on x86; elsewhere the compiler does)",
        packages: &["nasm"],
        present: || cfg!(not(target_arch = "x86_64")) || answers(Command::new("nasm").arg("-v")),
    },
    Need {
        what: "a C++ compiler and make",
        why: "compile FAISS, libjpeg-turbo and ring",
        packages: &["build-essential"],
        present: || compiles(&[]) && answers(Command::new("make").arg("--version")),
    },
    Need {
        what: "BLAS, LAPACK and OpenMP",
        why: "FAISS links to them; OpenBLAS is the fast one",
        packages: &["build-essential", "libopenblas-dev"],
        present: || compiles(&["-lblas", "-llapack", "-lgomp"]),
    },
    Need {
        what: "Python 3 with pip",
        why: "the models and ONNX Runtime are published as Python packages",
        packages: &["python3", "python3-pip"],
        present: || answers(Command::new("python3").args(["-m", "pip", "--version"])),
    },
    Need {
        what: "curl",
        why: "the texture nets of liveness are files of a public repository",
        packages: &["curl", "ca-certificates"],
        present: || answers(Command::new("curl").arg("--version")),
    },
    Need {
        what: "npm",
        why: "the face mesh is published as an npm package",
        packages: &["npm"],
        present: || answers(Command::new("npm").arg("--version")),
    },
];

/// For the tests of keys on an HSM.
pub const SOFTHSM: Need = Need {
    what: "SoftHSM",
    why: "the tests keep keys on a PKCS#11 token, and this is one without hardware",
    packages: &["softhsm2"],
    present: || answers(Command::new("softhsm2-util").arg("--version")),
};

/// For the peers' virtual environment; Debian ships Python without it.
pub const VENV: Need = Need {
    what: "Python's venv",
    why: "the peers we are measured against are Python packages, kept in an environment of their own",
    packages: &["python3-venv"],
    present: || answers(Command::new("python3").args(["-c", "import ensurepip, venv"])),
};

/// For processes in network namespaces of their own.
pub const IPROUTE2: Need = Need {
    what: "iproute2",
    why: "`ip netns` makes the network namespaces whose wires are cut",
    packages: &["iproute2"],
    present: || answers(Command::new("ip").arg("-Version")),
};

/// For the tests that look at what a process asks of the disk.
pub const STRACE: Need = Need {
    what: "strace",
    why: "shows that a record is synced before anybody is told that it is kept",
    packages: &["strace"],
    present: || answers(Command::new("strace").arg("--version")),
};

/// For the tests of pages.
pub const CHROMIUM: Need = Need {
    what: "Chromium",
    why: "the pages are tested in a real browser",
    packages: &["chromium"],
    present: || answers(Command::new("chromium").arg("--version")),
};

/// For what pages say in Chinese: without it a browser draws boxes, and their pictures show nothing.
pub const CHINESE_FONT: Need = Need {
    what: "a font with Chinese characters",
    why: "the gates' pages are looked at in Chinese and English",
    packages: &["fontconfig", "fonts-noto-cjk"],
    present: || Command::new("fc-list").arg(":lang=zh").output().is_ok_and(|fonts| !fonts.stdout.is_empty()),
};

/// For the store that outgrows one machine.
pub const POSTGRESQL: Need = Need {
    what: "PostgreSQL",
    why: "the cloud's store is tested and measured over it as well; a server of our own is started and ended each time",
    packages: &["postgresql"],
    present: postgres::installed,
};

/// For the gate's cameras behind GStreamer; a build without that feature needs none of it.
pub const GSTREAMER: Need = Need {
    what: "GStreamer with its headers and RTSP server",
    why: "the gate's feature `gstreamer` is compiled against it, and tested with its test source over RTSP",
    packages: &[
        "libgstreamer1.0-dev",
        "libgstreamer-plugins-base1.0-dev",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gir1.2-gst-rtsp-server-1.0",
        "python3-gi",
        "pkg-config",
    ],
    present: || {
        let headers = ["--exists", "gstreamer-app-1.0", "gstreamer-video-1.0"];
        // The system's own Python, which Debian's packages are for; the first one on the PATH may be another.
        let mut server = Command::new("/usr/bin/python3");
        server.args(["-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]);
        answers(Command::new("pkg-config").args(headers)) && answers(&mut server)
    },
};

/// For captures that are clips.
pub const FFMPEG: Need = Need {
    what: "ffmpeg",
    why: "takes the frames out of video clips for the evaluation",
    packages: &["ffmpeg"],
    present: || answers(Command::new("ffmpeg").arg("-version")),
};

/// Compiles and links an empty C++ program with these libraries.
fn compiles(libraries: &[&str]) -> bool {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    command.args(["-x", "c++", "-", "-o", "/dev/null"]).args(libraries);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(b"int main() { return 0; }\n").is_ok());
    written && child.wait().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_noticed() {
        assert!(compiles(&[]));
        assert!(!compiles(&["-lfacegate_no_such_library"]));
    }
}
