//! Processes that end with their owner.

use crate::Result;
use std::{
    ffi::OsStr,
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// How many lines of a log are shown.
const LAST_WORDS: usize = 8;

/// How long a process may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(15);

/// A running process, whose output goes to a file. Ended when dropped.
pub struct Process {
    child: Child,
    /// Where the output of the process is.
    pub log: PathBuf,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or its log cannot be written.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Result<Self> {
        Self::start_with(program, arguments, [], log)
    }

    /// Starts a program whose clock is off.
    ///
    /// # Errors
    ///
    /// As [`Self::start`], and when no clock can be set off.
    pub fn start_with_clock<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        clock_offset_ms: i64,
        log: PathBuf,
    ) -> Result<Self> {
        let environment = match clock_offset_ms {
            0 => vec![],
            off => faketime(off)?,
        };
        Self::start_with(program, arguments, environment, log)
    }

    fn start_with<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = (&'static str, String)>,
        log: PathBuf,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C in a terminal goes to the owner alone, which then ends its processes in order.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        Ok(Self { child, log })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Where its log is, and how that ends: what a person wants to know of a process that ended.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(LAST_WORDS).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("its log is {}, and ends:\n{}", self.log.display(), last.join("\n"))
    }

    /// Ends it at once, without a warning, as a power failure would.
    ///
    /// # Errors
    ///
    /// When it has ended by itself.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        // What libfaketime leaves of a process that could not tidy up: another of the same id could not start.
        for left in ["faketime_shm_", "sem.faketime_sem_"] {
            let _ = std::fs::remove_file(format!("/dev/shm/{left}{}", self.child.id()));
        }
        Ok(())
    }

    /// Asks it to end, and ends it if it does not.
    fn end(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // By its id, which is ours until it was waited for.
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while asked.as_ref().is_ok_and(ExitStatus::success) && begun.elapsed() < END_WITHIN {
            if self.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What sets the wall clock of a program off from outside, whatever it is built with: libfaketime. What measures how
/// long something took is left alone, as by a clock that is wrong; so are the times of files.
fn faketime(offset_ms: i64) -> Result<Vec<(&'static str, String)>> {
    let folders = ["/usr/lib", "/usr/lib64"].into_iter().flat_map(|folder| {
        let below = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        below.chain([PathBuf::from(folder)])
    });
    let library = folders
        .map(|folder| folder.join("faketime/libfaketime.so.1"))
        .find(|path| path.is_file())
        .ok_or("libfaketime is missing; scripts/setup --with-tools installs it")?;
    Ok(vec![
        ("LD_PRELOAD", library.display().to_string()),
        // Seconds, with the sign that makes them an offset.
        ("FAKETIME", format!("{:+.3}", offset_ms as f64 / 1_000.0)),
        // Of its versions, each knows one of these two.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("NO_FAKE_STAT", "1".into()),
    ])
}

/// Runs a program to its end.
///
/// # Errors
///
/// When it cannot be started, or is still running after the time.
pub fn run<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
    within: Duration,
) -> Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    let id = child.id();
    // Pipes are read while it runs, or it would stop when they are full.
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let out = read(stdout.take().map(|pipe| Box::new(pipe) as _));
    let err = read(stderr.take().map(|pipe| Box::new(pipe) as _));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > within {
            child.kill()?;
            child.wait()?;
            return Err(format!("{} (process {id}) still ran after {within:?}", program.display()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let joined = |thread: std::thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    Ok(Output { status, stdout: joined(out), stderr: joined(err) })
}

/// A binary of this workspace, beside the one that is running.
///
/// # Errors
///
/// When it was not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    folders
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{name} was not built; run cargo build --release --workspace").into())
}

/// A TCP port, and UDP port of the same number, that nobody uses now. Below those that the system gives to connections, so
/// that it is still free when it is used, also after its owner was killed.
///
/// # Errors
///
/// When there are none.
pub fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let random = sp_core::H256::random();
        let port = 20_000 + u16::from_le_bytes([random[0], random[1]]) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("there is no free port".into())
}

/// Two ports in a row of the same kind, of which this is the first: what a challenger listens on.
///
/// # Errors
///
/// When there are none.
pub fn free_ports() -> Result<u16> {
    for _ in 0..100 {
        let port = free_port()?;
        if std::net::UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    Err("there are no two free ports in a row".into())
}
