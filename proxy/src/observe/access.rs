//! The access log: a line a request, written off the request's path.
//!
//! Whoever serves hands a line over without waiting, and a thread writes it. It rests a little while lines come together,
//! and only after a second without any does it sleep until it is woken: while there is work, nobody who serves has to
//! wake anybody. A line for which there is no room is dropped and counted; once there is room again, the log says how
//! many are missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment, SystemTime};

use tollgate_mock_llm::clock::Clock;

use super::ProcessLog;
use super::grid::{Count, Grid};
use super::line::{self, Line, Names};
use crate::settings::{self, Level};

/// Most lines that wait to be written.
const MOST_WAITING: usize = 4_096;

/// How much is written at once.
const BATCH_BYTES: usize = 1 << 16;

/// How long lines come together before they are written: while it is shorter than what there is room for, nothing is lost.
const REST: Duration = Duration::from_millis(20);

/// How often it is looked whether the file is still where it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where lines are handed over.
#[derive(Debug)]
pub(super) struct AccessLog {
    sender: SyncSender<Note>,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Note {
    /// To be written.
    Line(Box<Line>),
    /// Something has been asked for.
    Look,
}

#[derive(Debug)]
struct Shared {
    reopen: AtomicBool,
    stop: AtomicBool,
    lines: Arc<Grid<0, Count>>,
    dropped: Arc<Grid<0, Count>>,
}

/// What lines are written with.
pub(super) struct Means {
    pub(super) names: Names,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the clock runs as the world's does.
    pub(super) is_real: bool,
    pub(super) log: ProcessLog,
    /// Counts lines that were written.
    pub(super) lines: Arc<Grid<0, Count>>,
    /// Counts lines that were not.
    pub(super) dropped: Arc<Grid<0, Count>>,
}

impl AccessLog {
    /// Opens the log where `settings` say; nothing if nowhere.
    pub(super) fn open(settings: &settings::AccessLog, means: Means) -> io::Result<Option<AccessLog>> {
        let output = match settings {
            settings::AccessLog::None => return Ok(None),
            settings::AccessLog::Stdout => Output::Stdout,
            settings::AccessLog::File(path) => Output::file(path)?,
        };
        let shared = Arc::new(Shared {
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            lines: Arc::clone(&means.lines),
            dropped: Arc::clone(&means.dropped),
        });
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let writer = Writer {
            output,
            receiver,
            shared: Arc::clone(&shared),
            began: began(&*means.clock),
            means,
            buffer: Vec::with_capacity(2 * BATCH_BYTES),
            buffered: 0,
            missing: 0,
            looked: Moment::now(),
            is_failing: false,
        };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        let writer = thread.spawn(move || writer.run())?;
        Ok(Some(AccessLog {
            sender,
            shared,
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Hands a line over.
    pub(super) fn write(&self, line: Line) {
        let is_open = !self.shared.stop.load(Ordering::Relaxed);
        if !is_open || self.sender.try_send(Note::Line(Box::new(line))).is_err() {
            self.shared.dropped.at([]).one();
        }
    }

    /// Opens the file anew, for whoever has moved it.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Relaxed);
        self.nudge();
    }

    /// Writes what waits, and ends.
    pub(super) fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.nudge();
        let writer = self.writer.lock().map_or(None, |mut writer| writer.take());
        if let Some(writer) = writer {
            // Its panic has been told.
            let _panicked = writer.join();
        }
    }

    fn nudge(&self) {
        match self.sender.try_send(Note::Look) {
            // It is busy, and looks when it has written.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The thread that writes.
struct Writer {
    output: Output,
    receiver: Receiver<Note>,
    shared: Arc<Shared>,
    means: Means,
    /// The date of the clock's beginning. The world's clock may be set; one that runs faster has only its beginning.
    began: SystemTime,
    buffer: Vec<u8>,
    /// Lines in the buffer.
    buffered: u64,
    /// Lines that were dropped, as far as the log has said so.
    missing: u64,
    looked: Moment,
    is_failing: bool,
}

impl Writer {
    fn run(mut self) {
        let mut heard = Moment::now();
        loop {
            let is_last = self.shared.stop.load(Ordering::Acquire);
            let is_full = self.gather();
            let is_quiet = self.buffered == 0;
            self.say_missing();
            self.flush();
            self.look();
            if is_last && is_quiet {
                return;
            }
            if is_last || is_full {
                continue;
            }
            if !is_quiet {
                heard = Moment::now();
            }
            if heard.elapsed() < LOOK_EVERY {
                std::thread::sleep(REST);
                continue;
            }
            match self.receiver.recv_timeout(LOOK_EVERY) {
                Ok(note) => self.take(note),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes what has come, as much as is written at once; whether it is as much as that.
    fn gather(&mut self) -> bool {
        if self.means.is_real {
            self.began = began(&*self.means.clock);
        }
        while self.buffer.len() < BATCH_BYTES {
            match self.receiver.try_recv() {
                Ok(note) => self.take(note),
                Err(_none) => return false,
            }
        }
        true
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Line(line) => {
                let time = self.date(line.arrived());
                line::write(&mut self.buffer, &line, &self.means.names, time);
                self.buffered += 1;
            }
            Note::Look => {}
        }
    }

    /// The date of an instant.
    fn date(&self, at: tollgate_core::time::Instant) -> SystemTime {
        let since = Duration::from_nanos(at.as_nanos());
        self.began.checked_add(since).unwrap_or(self.began)
    }

    fn say_missing(&mut self) {
        let dropped = self.shared.dropped.at([]).get();
        if self.missing < dropped {
            line::write_dropped(&mut self.buffer, dropped - self.missing, self.means.clock.wall());
            self.missing = dropped;
        }
    }

    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        match self.output.write(&self.buffer) {
            Ok(()) => {
                self.shared.lines.at([]).add(self.buffered);
                if std::mem::take(&mut self.is_failing) {
                    self.means
                        .log
                        .tell(Level::Info, "the access log can be written again", &[]);
                }
            }
            Err(error) => {
                self.shared.dropped.at([]).add(self.buffered);
                if !std::mem::replace(&mut self.is_failing, true) {
                    let fields: [(&str, &dyn std::fmt::Display); 2] = [("file", &self.output), ("error", &error)];
                    let what = "the access log cannot be written, and lines are dropped";
                    self.means.log.tell(Level::Error, what, &fields);
                }
            }
        }
        self.buffer.clear();
        self.buffered = 0;
    }

    /// Opens the file anew if that was asked for, or if it is not where it was.
    fn look(&mut self) {
        let is_due = LOOK_EVERY <= self.looked.elapsed();
        let is_asked = self.shared.reopen.swap(false, Ordering::Relaxed);
        if !is_due && !is_asked {
            return;
        }
        self.looked = Moment::now();
        if !is_asked && !self.output.has_moved() {
            return;
        }
        if let Err(error) = self.output.reopen() {
            let fields: [(&str, &dyn std::fmt::Display); 2] = [("file", &self.output), ("error", &error)];
            self.means
                .log
                .tell(Level::Error, "the access log cannot be opened anew", &fields);
        }
    }
}

fn began(clock: &dyn Clock) -> SystemTime {
    let now = Duration::from_nanos(clock.now().as_nanos());
    clock.wall().checked_sub(now).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Where lines go.
enum Output {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Output {
    fn file(path: &Path) -> io::Result<Output> {
        Ok(Output::File {
            path: path.to_owned(),
            file: append(path)?,
        })
    }

    /// Writes everything, or as good as nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Output::File { file, .. } => {
                let before = file.metadata().map(|metadata| metadata.len());
                let written = file.write_all(bytes);
                if let (Err(_), Ok(before)) = (&written, before) {
                    // Half a line would be read as a wrong one. If it stays, that is told by whoever reads it.
                    let _stays = file.set_len(before);
                }
                written
            }
        }
    }

    /// Whether the path names another file by now, or none.
    #[cfg(unix)]
    fn has_moved(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let Output::File { path, file } = self else {
            return false;
        };
        let identity = |metadata: io::Result<std::fs::Metadata>| metadata.map(|is| (is.dev(), is.ino())).ok();
        identity(std::fs::metadata(path)) != identity(file.metadata())
    }

    #[cfg(not(unix))]
    fn has_moved(&self) -> bool {
        matches!(self, Output::File { path, .. } if !path.exists())
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Output::File { path, file } = self {
            *file = append(path)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Output::Stdout => f.write_str("standard output"),
            Output::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
