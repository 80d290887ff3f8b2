//! Rides that somebody must look at.

use anyhow::Result;
use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use tonic::transport::Channel;

/// Lists all rides without a price, page by page.
pub async fn held(ops: &mut OpsServiceClient<Channel>) -> Result<()> {
    let mut after = String::new();
    loop {
        let page = ops.held_rides(v1::HeldRidesRequest { after, max: 0 }).await?.into_inner().rides;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.ride_id.clone();
        for ride in &page {
            let began = jiff::Timestamp::from_millisecond(ride.began_unix_ms)?;
            let seen = |station: &str| if station.is_empty() { "not seen".to_owned() } else { station.to_owned() };
            let way = format!("{} to {}", seen(&ride.entry_station), seen(&ride.exit_station));
            println!("{}  {began}  rider {}  {way}: {}", ride.ride_id, ride.rider_id, ride.reason);
        }
    }
}
