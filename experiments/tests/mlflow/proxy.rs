use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A connection to a real server on which answers can get lost after the server has acted on the
/// request, and which remembers what was asked.
pub struct Proxy {
    pub address: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// A request that went through.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and path with query.
    pub line: String,
    /// Header lines in lower case.
    pub headers: Vec<String>,
}

/// Decides by the request and its number (from 0, of this method and path) whether its answer is
/// lost.
pub type Loses = dyn Fn(&str, usize) -> bool + Send + Sync;

impl Proxy {
    /// Puts a proxy in front of a server.
    pub fn start(server: &str, loses: Arc<Loses>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let upstream = server.trim_start_matches("http://").to_string();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let requests = seen.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, requests, loses) = (upstream.clone(), requests.clone(), loses.clone());
                std::thread::spawn(move || pass(client, &upstream, &requests, &*loses));
            }
        });
        Self { address, seen }
    }

    /// What went through so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request per connection: the server is told to close after its answer.
fn pass(client: TcpStream, upstream: &str, seen: &Mutex<Vec<Request>>, loses: &Loses) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_string());
    }
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_string();
    let headers: Vec<String> = lines[1..].iter().map(|line| line.to_lowercase()).collect();
    let length = headers
        .iter()
        .find_map(|header| header.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = line.split('?').next().unwrap_or("").to_string();
    let number = {
        let mut seen = seen.lock().unwrap();
        let number = seen.iter().filter(|past| past.line.split('?').next() == Some(&path)).count();
        seen.push(Request { line, headers });
        number
    };

    let mut server = TcpStream::connect(upstream).ok()?;
    let mut head = format!("{}\r\n", lines[0]);
    for line in lines[1..].iter().filter(|line| !line.to_lowercase().starts_with("connection:")) {
        head += &format!("{line}\r\n");
    }
    head += "Connection: close\r\n\r\n";
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    if !loses(&path, number) {
        (&client).write_all(&answer).ok()?;
    }
    client.shutdown(std::net::Shutdown::Both).ok()
}
