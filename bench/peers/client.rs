//! A small client: so many connections, each with one request at a time, as fast as answers come or at a rate.
//!
//! At a rate, latency counts from the instant at which a request was to be sent, whether or not it could be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// Connections to one peer.
pub(crate) struct Client {
    connections: Vec<Connection>,
    request: Arc<[u8]>,
}

/// What became of the requests of one run.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// From the intended start to the first byte of the body.
    pub(crate) first: Vec<Duration>,
    /// From the intended start to the last byte.
    pub(crate) whole: Vec<Duration>,
    pub(crate) errors: usize,
    pub(crate) took: Duration,
}

impl Heard {
    fn add(&mut self, start: Instant, answer: &io::Result<Answer>) {
        match answer {
            Ok(answer) => {
                self.first.push(answer.first - start);
                self.whole.push(answer.last - start);
            }
            Err(_) => self.errors += 1,
        }
    }

    fn join(&mut self, other: &mut Heard) {
        self.first.append(&mut other.first);
        self.whole.append(&mut other.whole);
        self.errors += other.errors;
    }
}

impl Client {
    /// Opens `count` connections to `address`, on which `request` is asked.
    pub(crate) async fn connect(address: SocketAddr, count: usize, request: &str) -> io::Result<Client> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(address).await?);
        }
        Ok(Client {
            connections,
            request: request.as_bytes().into(),
        })
    }

    /// Asks on every connection as soon as it is free, for `length`.
    pub(crate) async fn saturate(&mut self, length: Duration) -> io::Result<Heard> {
        let began = Instant::now();
        let request = Arc::clone(&self.request);
        let ask = move |mut connection: Connection| {
            let request = Arc::clone(&request);
            async move {
                let mut heard = Heard::default();
                while began.elapsed() < length {
                    let start = Instant::now();
                    let answer = connection.ask(&request).await;
                    heard.add(start, &answer);
                    if answer.is_err() {
                        break;
                    }
                }
                (connection, heard)
            }
        };
        self.all(began, ask).await
    }

    /// Asks `rate` times a second for `length`, on whichever connection is free the longest.
    pub(crate) async fn offer(&mut self, rate: u32, length: Duration) -> io::Result<Heard> {
        let (sender, tickets) = mpsc::unbounded_channel();
        let tickets = Arc::new(Mutex::new(tickets));
        let began = Instant::now();
        let clock = std::thread::spawn(move || {
            for number in 0_u32.. {
                let at = Duration::from_secs(1) * number / rate;
                if length <= at {
                    return;
                }
                let start = began + at;
                let wait = start.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    std::thread::sleep(wait);
                }
                if sender.send(start).is_err() {
                    return;
                }
            }
        });
        let request = Arc::clone(&self.request);
        let ask = move |mut connection: Connection| {
            let (tickets, request) = (Arc::clone(&tickets), Arc::clone(&request));
            async move {
                let mut heard = Heard::default();
                loop {
                    let ticket = tickets.lock().await.recv().await;
                    let Some(start) = ticket else { break };
                    let answer = connection.ask(&request).await;
                    heard.add(start, &answer);
                    if answer.is_err() {
                        break;
                    }
                }
                (connection, heard)
            }
        };
        let heard = self.all(began, ask).await;
        clock
            .join()
            .map_err(|_| io::Error::other("the thread that keeps time has panicked"))?;
        heard
    }

    /// Asks on all connections, and waits for the first byte of every answer.
    pub(crate) async fn hold(&mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.begin(&self.request).await?;
        }
        Ok(())
    }

    async fn all<F>(&mut self, began: Instant, ask: impl Fn(Connection) -> F) -> io::Result<Heard>
    where
        F: Future<Output = (Connection, Heard)> + Send + 'static,
    {
        let mut tasks: JoinSet<_> = self.connections.drain(..).map(&ask).collect();
        let mut all = Heard::default();
        while let Some(ended) = tasks.join_next().await {
            let (connection, mut heard) = ended.map_err(io::Error::other)?;
            self.connections.push(connection);
            all.join(&mut heard);
        }
        all.took = began.elapsed();
        Ok(all)
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    heard: Vec<u8>,
}

struct Answer {
    first: Instant,
    last: Instant,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            heard: Vec::new(),
        })
    }

    /// Asks, and waits for the first byte of a good answer.
    pub(crate) async fn begin(&mut self, request: &[u8]) -> io::Result<Head> {
        self.heard.clear();
        self.stream.write_all(request).await?;
        let mut head = None;
        loop {
            self.read().await?;
            head = head.or(Head::of(&self.heard)?);
            if let Some(head) = head.filter(|head| head.bytes < self.heard.len()) {
                return Ok(head);
            }
        }
    }

    async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let head = self.begin(request).await?;
        let first = Instant::now();
        while !head.is_all(&self.heard) {
            self.read().await?;
        }
        let last = Instant::now();
        Ok(Answer { first, last })
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The head of a good answer.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    bytes: usize,
    /// How long the body is; none if it comes in chunks.
    body: Option<usize>,
}

impl Head {
    /// The head at the beginning of `heard`, once all of it is there.
    fn of(heard: &[u8]) -> io::Result<Option<Head>> {
        let Some(end) = memchr::memmem::find(heard, b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&heard[..end]);
        let mut lines = text.lines();
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(io::Error::other(format!("the answer is no 200: {status}")));
        }
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        Ok(Some(Head {
            bytes: end + 4,
            body: length,
        }))
    }

    fn is_all(&self, heard: &[u8]) -> bool {
        match self.body {
            Some(length) => self.bytes + length <= heard.len(),
            None => heard[self.bytes..].ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}
