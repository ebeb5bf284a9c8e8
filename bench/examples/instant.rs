//! A target that costs next to nothing: it answers every chat request at once, or streams it token by token.
//!
//! `cargo run --release -p tollgate-bench --example instant -- 127.0.0.1:9200`, and for streams of 100 tokens, 50 ms
//! apart, `-- 127.0.0.1:9200 100 50`. What `tollgate load` can do shows against it, not against a gateway.

use std::env;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// What is answered.
#[derive(Clone, Copy)]
struct Answer {
    /// Tokens of a stream; none: all at once.
    tokens: u32,
    /// Between one and the next.
    gap: Duration,
}

/// Most bytes of a request.
const MOST: usize = 32 << 20;
const WHOLE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"any","choices":[{"index":0,"message":{"role":"assistant","content":"It is."},"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":20,"total_tokens":80}}"#;
const TOKEN: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"any\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const END: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":20}}\n\ndata: [DONE]\n\n";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize| args.get(at).map_or(Ok(0), |text| text.parse::<u32>());
    let address: SocketAddr = args.first().map_or("127.0.0.1:9200", String::as_str).parse()?;
    let answer = Answer {
        tokens: number(1)?,
        gap: Duration::from_millis(number(2)?.into()),
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                // Whoever asks closes when it is done.
                let _closed = converse(stream, answer).await;
            });
        }
    })
}

async fn converse(mut stream: TcpStream, answer: Answer) -> io::Result<()> {
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{WHOLE}",
        WHOLE.len()
    );
    let length = answer.tokens as usize * TOKEN.len() + END.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n");
    let mut bytes = Vec::with_capacity(4 << 10);
    while next(&mut stream, &mut bytes).await? {
        if answer.tokens == 0 {
            stream.write_all(whole.as_bytes()).await?;
            continue;
        }
        stream.write_all(head.as_bytes()).await?;
        for _ in 0..answer.tokens {
            tokio::time::sleep(answer.gap).await;
            stream.write_all(TOKEN.as_bytes()).await?;
        }
        stream.write_all(END.as_bytes()).await?;
    }
    Ok(())
}

/// Takes the next request out of `bytes`; false if there is none.
async fn next(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        if let Some(length) = length(bytes)
            && length <= bytes.len()
        {
            bytes.drain(..length);
            return Ok(true);
        }
        if MOST < bytes.len() || stream.read_buf(bytes).await? == 0 {
            return Ok(false);
        }
    }
}

/// How long the request is that `bytes` begin with, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let Some(at) = memchr::memmem::find(&bytes[..head], NAME) else {
        return Some(head);
    };
    let digits = bytes[at + NAME.len()..head].split(|byte| *byte == b'\r').next()?;
    let body: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(head + body)
}
