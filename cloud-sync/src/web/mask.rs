//! How an id is shown to people who need to tell riders apart and not to know them.

use facegate_domain::ids::RiderId;

/// Four dots and the last four hexadecimal digits.
pub fn masked(rider: RiderId) -> String {
    let id = rider.as_uuid().simple().to_string();
    format!("••••{}", &id[id.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_id_keeps_sixteen_of_128_bits() {
        let rider: RiderId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        assert_eq!(masked(rider), "••••e0c8");
    }
}
