//! A wire passes on what it is given, in order, as late as it is told.

use super::*;
use crate::city::network::LOOPBACK;

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    address
}

async fn wire(faults: Faults) -> Wire {
    let wire = Wire::lay(SocketAddr::new(LOOPBACK, 0), echo().await, 7).await.unwrap();
    wire.set(faults);
    wire
}

/// Sends `bytes` there and back; gives how long that took.
async fn there_and_back(wire: &Wire, bytes: &[u8]) -> Duration {
    let (mut reader, mut writer) = TcpStream::connect(wire.address()).await.unwrap().into_split();
    let began = Instant::now();
    let send = async {
        writer.write_all(bytes).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, read) = tokio::join!(send, reader.read_to_end(&mut back));
    read.unwrap();
    assert!(back == bytes, "what comes back is what was sent, in order");
    began.elapsed()
}

#[tokio::test]
async fn what_is_lost_on_the_way_comes_late_and_in_order() {
    let wire = wire(Faults { delay: Duration::ZERO, loss: 0.05 }).await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let took = there_and_back(&wire, &bytes).await;
    assert!(wire.lost() > 0, "of some 280 packets");
    assert!(took >= RETRANSMISSION, "{took:?}");
}

#[tokio::test]
async fn a_slow_wire_delays_both_ways() {
    let slow = wire(Faults { delay: Duration::from_millis(150), loss: 0.0 }).await;
    let took = there_and_back(&slow, b"hello").await;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert_eq!(slow.lost(), 0);
}

#[tokio::test]
async fn a_wire_to_nobody_closes_the_connection_and_takes_the_next() {
    let nobody = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap();
    let wire = Wire::lay(SocketAddr::new(LOOPBACK, 0), nobody, 0).await.unwrap();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(wire.address()).await.unwrap();
        let mut nothing = Vec::new();
        // Closed or reset, both are an end.
        assert!(stream.read_to_end(&mut nothing).await.is_err() || nothing.is_empty());
    }
}
