//! How far away a client is: the system measures it for every TCP connection.

use std::time::Duration;

use tokio::net::TcpStream;

/// The smoothed round-trip time of a connection, at first that of its handshake. `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn of(socket: &TcpStream) -> Option<Duration> {
    use std::os::fd::AsRawFd as _;

    #[expect(unsafe_code, reason = "all-zero bytes are a valid tcp_info, which consists of integers")]
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // An older kernel writes fewer bytes than the structure has; what it does not know stays zero.
    #[expect(
        unsafe_code,
        reason = "the descriptor is open, and the system writes at most `length` bytes, all inside `info`"
    )]
    let refused = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    (refused == 0 && info.tcpi_rtt > 0).then(|| Duration::from_micros(u64::from(info.tcpi_rtt)))
}

/// Other systems have other words for it, which nobody has needed yet.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn of(_: &TcpStream) -> Option<Duration> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_system_knows_how_far_away_the_other_end_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let time = of(&socket).expect("Linux measures the handshake");
        assert!(time < Duration::from_secs(5), "{time:?}");
    }
}
