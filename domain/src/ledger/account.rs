//! The chart of accounts.

use serde::{Deserialize, Serialize};

use crate::ids::RiderId;

/// Where money is, or whom it is owed to. Debits are positive: an account with a positive balance is owed to the
/// operator or held by it, one with a negative balance is owed by it or was earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "account", content = "rider", rename_all = "snake_case")]
pub enum Account {
    /// What the rider owes for priced journeys; negative while the operator owes the rider.
    RiderReceivable(RiderId),
    /// What the rider has paid in advance: owed to the rider, so negative while there is money in it.
    Wallet(RiderId),
    /// Of what is in the wallet, the part that is set aside for a fare that is not known yet: negative.
    WalletHeld(RiderId),
    /// Fares earned: negative.
    OperatorRevenue,
    /// What the acquirer has captured and not yet paid out.
    AcquirerReceivable,
    /// What acquirers keep of what they settle.
    AcquirerFees,
    /// Money at the operator's bank, or on its way there.
    OperatorBank,
    /// Cash taken at booths and not yet banked.
    BoothCash,
    /// Set aside for charges that were wrong: negative while there is something in it.
    RiskReserve,
    /// Debts that nobody will pay any more.
    WriteOff,
    /// What riders have taken back through their banks, until it is decided who is right.
    Disputed,
    /// Given to riders though it was not owed.
    Goodwill,
}

impl Account {
    pub const fn control(&self) -> Control {
        match self {
            Self::RiderReceivable(_) => Control::RiderReceivable,
            Self::Wallet(_) => Control::Wallet,
            Self::WalletHeld(_) => Control::WalletHeld,
            Self::OperatorRevenue => Control::OperatorRevenue,
            Self::AcquirerReceivable => Control::AcquirerReceivable,
            Self::AcquirerFees => Control::AcquirerFees,
            Self::OperatorBank => Control::OperatorBank,
            Self::BoothCash => Control::BoothCash,
            Self::RiskReserve => Control::RiskReserve,
            Self::WriteOff => Control::WriteOff,
            Self::Disputed => Control::Disputed,
            Self::Goodwill => Control::Goodwill,
        }
    }
}

/// A line of the trial balance: all accounts of one kind together (the *control account* of the riders' accounts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    RiderReceivable,
    Wallet,
    WalletHeld,
    OperatorRevenue,
    AcquirerReceivable,
    AcquirerFees,
    OperatorBank,
    BoothCash,
    RiskReserve,
    WriteOff,
    Disputed,
    Goodwill,
}

impl Control {
    pub const ALL: [Self; 12] = [
        Self::RiderReceivable,
        Self::Wallet,
        Self::WalletHeld,
        Self::OperatorRevenue,
        Self::AcquirerReceivable,
        Self::AcquirerFees,
        Self::OperatorBank,
        Self::BoothCash,
        Self::RiskReserve,
        Self::WriteOff,
        Self::Disputed,
        Self::Goodwill,
    ];

    /// As stores, tables and pages write it; what serde writes too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RiderReceivable => "rider_receivable",
            Self::Wallet => "wallet",
            Self::WalletHeld => "wallet_held",
            Self::OperatorRevenue => "operator_revenue",
            Self::AcquirerReceivable => "acquirer_receivable",
            Self::AcquirerFees => "acquirer_fees",
            Self::OperatorBank => "operator_bank",
            Self::BoothCash => "booth_cash",
            Self::RiskReserve => "risk_reserve",
            Self::WriteOff => "write_off",
            Self::Disputed => "disputed",
            Self::Goodwill => "goodwill",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|control| control.name() == name)
    }
}
