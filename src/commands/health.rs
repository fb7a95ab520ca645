use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::exit::{Code, CommandResult, Failure};
use crate::output::line;

/// Arguments of `cupola health`.
#[derive(clap::Args)]
#[command(after_help = "Example: cupola health --address 127.0.0.1:8080")]
pub struct Args {
    /// Address of the server.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: String,
}

const TIMEOUT: Duration = Duration::from_secs(3);

pub fn run(args: &Args) -> CommandResult {
    let status = ready(&args.address)
        .map_err(|error| Failure::new(Code::Serve, format!("{} does not answer: {error}", args.address)))?;
    if status.contains(" 200 ") {
        line("ready");
        return Ok(());
    }
    Err(Failure::new(Code::Serve, format!("{} is not ready: {status}", args.address)))
}

/// Status line of the readiness endpoint.
fn ready(address: &str) -> std::io::Result<String> {
    let unknown = || std::io::Error::other("the address does not resolve");
    let address = address.to_socket_addrs()?.next().ok_or_else(unknown)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut reply = String::new();
    stream.take(4_096).read_to_string(&mut reply)?;
    Ok(reply.lines().next().unwrap_or_default().to_owned())
}
