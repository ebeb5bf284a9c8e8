//! Sockets that listen: one for each thread and address, so that threads share nothing when a client connects.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// An address at which nobody can be served.
#[derive(Debug)]
pub struct Unbound {
    /// The setting that names it.
    pub setting: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    pub error: io::Error,
}

/// How many clients may wait to be accepted, at each socket.
const BACKLOG: i32 = 4_096;

/// A listener at `address` that shares it with nobody.
pub(super) fn one(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Unbound> {
    listen(address, false).map_err(|error| Unbound {
        setting,
        address,
        error,
    })
}

/// One listener at `address` for each of `threads`.
pub(super) fn several(setting: &'static str, address: SocketAddr, threads: usize) -> Result<Vec<TcpListener>, Unbound> {
    let unbound = |error| Unbound {
        setting,
        address,
        error,
    };
    // Sockets that share a port would share it with another process as well, which is hardly what was meant: the
    // first look is without sharing.
    let first = one(setting, address)?;
    if threads <= 1 {
        return Ok(vec![first]);
    }
    let bound = first.local_addr().map_err(unbound)?;
    if !cfg!(target_os = "linux") {
        // Elsewhere, the kernel does not spread clients over sockets of one port: all threads wait at one socket.
        let copies = (1..threads).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>();
        return Ok(std::iter::once(first).chain(copies.map_err(unbound)?).collect());
    }
    drop(first);
    (0..threads).map(|_| listen(bound, true).map_err(unbound)).collect()
}

fn listen(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the process before this one may linger.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(is_shared)?;
    #[cfg(not(target_os = "linux"))]
    let _ = is_shared;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// From now on nobody new is let into the queue of `listener`; who is in it can still be accepted.
///
/// Without this, whoever connects between the last look into the queue and the closing of the socket would be cut off.
#[cfg(target_os = "linux")]
pub(super) fn shut(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};

    /// The only instruction of a filter that lets nothing through: return 0.
    const RETURN: u16 = 0x06;
    let nothing = [SockFilter::new(RETURN, 0, 0, 0)];
    // Where filters are forbidden, the window of some microseconds stays open.
    let _forbidden = SockRef::from(listener).attach_filter(&nothing);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn shut(_listener: &TcpListener) {}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unbound {
            setting,
            address,
            error,
        } = self;
        write!(f, "`{setting}` cannot be {address}: {error}\n  = help: ")?;
        let kind = error.kind();
        if kind == io::ErrorKind::AddrInUse {
            write!(
                f,
                "another process listens there; end it, or choose another port with --{setting}, 0 for any that is free"
            )
        } else if kind == io::ErrorKind::AddrNotAvailable {
            f.write_str("this machine has no such address; 0.0.0.0 and [::] are all it has")
        } else if kind == io::ErrorKind::PermissionDenied {
            write!(
                f,
                "ports below 1024 need a privilege; choose one above with --{setting}"
            )
        } else {
            write!(f, "choose another with --{setting}")
        }
    }
}

impl std::error::Error for Unbound {}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn threads_share_a_port() {
        let listeners = several("listen", ANY, 3).expect("a free port");
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().expect("it is bound").port())
            .collect();
        assert!(ports.len() == 3 && ports.iter().all(|port| *port == ports[0]));
    }

    #[test]
    fn a_port_in_use_is_refused() {
        for (first, second) in [(1, 1), (2, 2), (1, 2), (2, 1)] {
            let listeners = several("listen", ANY, first).expect("a free port");
            let address = listeners[0].local_addr().expect("it is bound");
            let unbound = several("listen", address, second).expect_err("it is in use");
            assert_eq!(unbound.error.kind(), io::ErrorKind::AddrInUse);
            assert!(
                unbound.to_string().contains("another process listens there"),
                "{unbound}"
            );
        }
    }
}
