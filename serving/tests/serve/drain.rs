use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use cupola_serving::{ServeConfig, Server};

use crate::support::{Models, Running, config, record};

/// A request whose head is sent and whose body is not.
fn half_a_request(server: &Running, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /v1/models/fraud/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    server.until("the request is admitted", |s| s.metric("cupola_in_flight_requests", &[]) == Some(1.0));
    stream
}

#[test]
fn a_stopping_server_says_so_and_answers_what_it_admitted() {
    let models = Models::fraud();
    let server = models.serve(config());
    let body = record(2).to_string();
    let mut admitted = half_a_request(&server, &body);
    server.handle.stop();
    server.until("not ready", |s| s.get("/health/ready").status == 503);
    assert_eq!(server.get("/health/ready").body["reason"], "draining");
    assert_eq!(server.get("/health/live").status, 200);
    let refused = server.predict(record(0));
    assert_eq!((refused.error(), refused.header("retry-after")), ((503, "draining"), "1"));
    admitted.write_all(body.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let n = admitted.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..n]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let start = Instant::now();
    server.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_client_that_never_finishes_holds_a_stopping_server_up_to_the_limit_only() {
    let server = Models::fraud().serve(ServeConfig { drain_seconds_max: 1, ..config() });
    let _admitted = half_a_request(&server, "{\"amount\": 1}");
    let start = Instant::now();
    server.stop().unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn stopping_under_load_cuts_no_request() {
    let models = Models::fraud();
    let server = models.serve(config());
    let (base, client) = (server.base.clone(), server.client.clone());
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (url, client) = (format!("{base}/v1/models/fraud/predict"), client.clone());
            thread::spawn(move || {
                let mut answered = 0;
                loop {
                    let request = client
                        .post(&url)
                        .header("content-type", "application/json")
                        .body(record(1).to_string());
                    match request.send() {
                        Ok(reply) if reply.status() == 200 => answered += 1,
                        Ok(reply) => return (answered, reply.status().as_u16()),
                        // The port is closed: the server has ended between two requests.
                        Err(error) if error.is_connect() => return (answered, 0),
                        Err(error) => panic!("a request was cut: {error:?}"),
                    }
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(200));
    server.stop().unwrap();
    for client in clients {
        let (answered, end) = client.join().unwrap();
        assert!(answered > 10 && (end == 503 || end == 0), "{answered} answered, then {end}");
    }
}

#[test]
fn a_server_that_nobody_holds_a_handle_of_goes_on() {
    let models = Models::fraud();
    let server = Server::build(config(), models.registry.clone(), &[]).unwrap();
    let url = format!("http://{}/health/ready", server.address());
    // It ends with the test process.
    let running = thread::spawn(move || server.run());
    let ready = || reqwest::blocking::get(&url).is_ok_and(|reply| reply.status() == 200);
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(10), "not ready within 10 s");
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(100));
    assert!(ready() && !running.is_finished());
}
