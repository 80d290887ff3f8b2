//! `EnrolmentService`: the enrolment service for integrators.

use std::sync::Arc;

use facegate_domain::ids::RiderId;
use facegate_proto::v1::enrolment_service_server::EnrolmentService;
use facegate_proto::v1::{self, bind_account_request::Account};
use facegate_runtime::identity::{Role, require};
use tonic::{Request, Response, Status};

use crate::cloud::Cloud;
use crate::enrolment::{AccountToBind, Actor, EnrolmentError};
use crate::store::{ErasureReceipt, Pricing, Trip};
use facegate_domain::tap::Tap;

#[derive(Debug)]
pub struct EnrolmentRpc {
    cloud: Arc<Cloud>,
}

impl EnrolmentRpc {
    pub fn new(cloud: Arc<Cloud>) -> Self {
        Self { cloud }
    }
}

/// Who calls, and what.
fn admit<T>(request: Request<T>) -> Result<(Actor, T), Status> {
    let peer = require(&request, &[Role::Integrator])?;
    Ok((Actor::new("integrator", &peer.id), request.into_inner()))
}

fn rider(id: &str) -> Result<RiderId, Status> {
    id.parse().map_err(|_| EnrolmentError::UnknownRider.into())
}

#[tonic::async_trait]
impl EnrolmentService for EnrolmentRpc {
    async fn create_rider(
        &self,
        request: Request<v1::CreateRiderRequest>,
    ) -> Result<Response<v1::CreateRiderResponse>, Status> {
        let (actor, request) = admit(request)?;
        let rider = self.cloud.enrolment.create_rider(&actor, &request.display_name).await?;
        Ok(Response::new(v1::CreateRiderResponse { rider_id: rider.to_string() }))
    }

    async fn give_consent(
        &self,
        request: Request<v1::GiveConsentRequest>,
    ) -> Result<Response<v1::GiveConsentResponse>, Status> {
        let (actor, asked) = admit(request)?;
        let enrolment = &self.cloud.enrolment;
        let given = enrolment
            .give_consent(&actor, rider(&asked.rider_id)?, &asked.purpose, &asked.text_version, &asked.channel)
            .await?;
        Ok(Response::new(v1::GiveConsentResponse { recorded_at_unix_ms: given.unix_ms() }))
    }

    async fn enrol_face(
        &self,
        request: Request<v1::EnrolFaceRequest>,
    ) -> Result<Response<v1::EnrolFaceResponse>, Status> {
        let (actor, asked) = admit(request)?;
        let photographs = std::iter::once(asked.image).chain(asked.more_images).collect();
        let enrolled = self.cloud.enrolment.enrol_face(&actor, rider(&asked.rider_id)?, photographs).await?;
        let (template_id, feed_version) = (enrolled.template.to_string(), enrolled.feed_version);
        Ok(Response::new(v1::EnrolFaceResponse { template_id, feed_version }))
    }

    async fn bind_account(
        &self,
        request: Request<v1::BindAccountRequest>,
    ) -> Result<Response<v1::BindAccountResponse>, Status> {
        let (actor, asked) = admit(request)?;
        let account = match asked.account {
            Some(Account::Wallet(wallet)) => {
                AccountToBind::Wallet { top_up_minor: wallet.top_up_minor, reference: wallet.top_up_reference }
            }
            Some(Account::Acquirer(bound)) => AccountToBind::Acquirer { acquirer: bound.acquirer, token: bound.token },
            None => {
                return Err(EnrolmentError::BadField { field: "account", problem: "is missing".into() }.into());
            }
        };
        self.cloud.enrolment.bind_account(&actor, rider(&asked.rider_id)?, account).await?;
        Ok(Response::new(v1::BindAccountResponse {}))
    }

    async fn certify_phone(
        &self,
        request: Request<v1::CertifyPhoneRequest>,
    ) -> Result<Response<v1::CertifyPhoneResponse>, Status> {
        let (actor, asked) = admit(request)?;
        let enrolment = &self.cloud.enrolment;
        let certified = enrolment.certify_phone(&actor, rider(&asked.rider_id)?, &asked.phone_key).await?;
        Ok(Response::new(v1::CertifyPhoneResponse {
            certificate: certified.certificate.as_bytes().to_vec(),
            expires_at_unix_ms: certified.expires_at.unix_ms(),
        }))
    }

    async fn list_trips(
        &self,
        request: Request<v1::ListTripsRequest>,
    ) -> Result<Response<v1::ListTripsResponse>, Status> {
        let (_, asked) = admit(request)?;
        let trips = self.cloud.enrolment.trips(rider(&asked.rider_id)?).await?;
        Ok(Response::new(v1::ListTripsResponse { trips: trips.iter().map(trip_to_wire).collect() }))
    }

    async fn erase_rider(
        &self,
        request: Request<v1::EraseRiderRequest>,
    ) -> Result<Response<v1::ErasureReceipt>, Status> {
        let (actor, asked) = admit(request)?;
        let receipt = self.cloud.enrolment.erase(&actor, rider(&asked.rider_id)?).await?;
        self.answer(&receipt).await
    }

    async fn withdraw_consent(
        &self,
        request: Request<v1::WithdrawConsentRequest>,
    ) -> Result<Response<v1::ErasureReceipt>, Status> {
        let (actor, asked) = admit(request)?;
        let enrolment = &self.cloud.enrolment;
        let receipt = enrolment.withdraw_consent(&actor, rider(&asked.rider_id)?, &asked.purpose).await?;
        self.answer(&receipt).await
    }

    async fn get_erasure(
        &self,
        request: Request<v1::GetErasureRequest>,
    ) -> Result<Response<v1::ErasureReceipt>, Status> {
        let (_, asked) = admit(request)?;
        let id = asked.erasure_id.parse().map_err(|_| EnrolmentError::UnknownErasure)?;
        self.answer(&self.cloud.enrolment.erasure(id).await?).await
    }
}

impl EnrolmentRpc {
    async fn answer(&self, receipt: &ErasureReceipt) -> Result<Response<v1::ErasureReceipt>, Status> {
        let account = self.cloud.enrolment.account_of(receipt).await?;
        Ok(Response::new(v1::ErasureReceipt {
            erasure_id: receipt.id.to_string(),
            requested_at_unix_ms: receipt.requested_at.unix_ms(),
            outstanding_stations: receipt.outstanding.iter().map(ToString::to_string).collect(),
            r#final: receipt.is_final(),
            scope: receipt.scope.name().to_owned(),
            account_kept_until_unix_ms: account.map_or(0, |account| account.until.unix_ms()),
            account_forgotten: account.is_some_and(|account| account.forgotten),
        }))
    }
}

fn trip_to_wire(trip: &Trip) -> v1::Trip {
    let ride = &trip.priced.ride;
    let (entry, exit) = (ride.entry(), ride.exit());
    let fare = trip.priced.fare().filter(|_| trip.priced.superseded.is_none());
    let lines = fare.map(facegate_domain::fares::Fare::lines).unwrap_or_default().iter();
    let charge_state = match (trip.charge(), trip.priced.pricing()) {
        (Some(charge), _) => charge.state().name(),
        (None, Some(Pricing::Held { .. })) => "held",
        (None, Some(Pricing::Elsewhere)) => "pricing",
        (None, _) if !trip.items.is_empty() => "waiting",
        (None, _) => "nothing_due",
    };
    let station = |tap: Option<&Tap>| tap.map(|tap| tap.station.to_string()).unwrap_or_default();
    let medium = |tap: Option<&Tap>| tap.map(|tap| tap.medium.name().to_owned()).unwrap_or_default();
    let at = |tap: Option<&Tap>| tap.map_or(0, |tap| tap.at.unix_ms());
    v1::Trip {
        journey_id: ride.id().to_string(),
        entry_station: station(entry),
        exit_station: station(exit),
        entry_medium: medium(entry),
        exit_medium: medium(exit),
        entered_at_unix_ms: at(entry),
        left_at_unix_ms: at(exit),
        fare_minor: fare.map_or(0, |fare| fare.total().minor()),
        currency: fare.map(|fare| fare.total().currency().to_string()).unwrap_or_default(),
        lines: lines
            .map(|line| v1::FareLine {
                rule: line.rule.to_string(),
                quantity: line.quantity.to_string(),
                amount_minor: line.amount.minor(),
            })
            .collect(),
        charge_state: charge_state.to_owned(),
    }
}
