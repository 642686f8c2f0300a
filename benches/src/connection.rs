//! One HTTP/1.1 connection that stays open. As small as a client can be: what the load generator
//! spends, the server on the same cores does not get.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest body of an answer, in bytes: a bundle of 256 of the longest leaves.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
}

/// An answer; the body lies in the connection until the next request.
pub struct Answer<'a> {
    /// The status, as in `201`.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, inbox: Vec::with_capacity(HEAD_BYTES_MAX) })
    }

    /// Sends a whole request and reads its answer.
    ///
    /// # Errors
    /// The connection ended, or the answer has no `Content-Length`: nothing else is understood.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.inbox.clear();
        let head = loop {
            if let Some(head) = Head::parse(&self.inbox)? {
                break head;
            }
            self.read().await?;
        };
        let end = head.bytes + head.body_bytes;
        while self.inbox.len() < end {
            self.read().await?;
        }
        if self.inbox.len() > end {
            return Err(wrong("bytes after the answer"));
        }
        Ok(Answer { status: head.status, body: &self.inbox[head.bytes..] })
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.inbox).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// `GET` of a path on a connection of its own: the status and the body.
///
/// # Errors
/// As for [`Connection::exchange`].
pub async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(request.as_bytes()).await?;
    Ok((answer.status, answer.body.to_vec()))
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// Reads the head of an answer; `None` as long as it is not complete.
    fn parse(inbox: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = inbox.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return if inbox.len() > HEAD_BYTES_MAX { Err(wrong("a long head")) } else { Ok(None) };
        };
        let head =
            std::str::from_utf8(&inbox[..end]).map_err(|_| wrong("a head that is no text"))?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            if !name.eq_ignore_ascii_case("content-length") {
                return None;
            }
            value.trim().parse().ok()
        });
        match (status, length) {
            (Some(status), Some(body_bytes)) if body_bytes <= BODY_BYTES_MAX => {
                Ok(Some(Self { status, bytes: end + 4, body_bytes }))
            }
            (Some(_), _) => Err(wrong("an answer without a sensible Content-Length")),
            (None, _) => Err(wrong("an answer that is not HTTP/1.1")),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let head = b"HTTP/1.1 201 Created\r\nx: y\r\nContent-Length: 12\r\n\r\n{";
        assert_eq!(
            Head::parse(head).unwrap(),
            Some(Head { status: 201, bytes: head.len() - 1, body_bytes: 12 })
        );
        for cut in 0..head.len() - 1 {
            assert_eq!(Head::parse(&head[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/2 200 OK\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 2\u{e9} OK\r\ncontent-length: 1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(Head::parse(head.as_bytes()).is_err(), "{head:?}");
        }
        assert!(Head::parse(&[b'a'; HEAD_BYTES_MAX]).unwrap().is_none());
        assert!(Head::parse(&[b'a'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
