//! Compiles the contracts without a system `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = ["gate", "station", "sync", "enrolment", "ops", "renewal"];
    let protos = protos.map(|name| format!("proto/facegate/v1/{name}.proto"));
    for proto in &protos {
        println!("cargo:rerun-if-changed={proto}");
    }
    let descriptors = protox::compile(&protos, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("facegate.v1.fds"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        // These carry a face or a key: src/sensitive.rs gives them a Debug that shows kind and size only.
        .skip_debug([
            "facegate.v1.Probe",
            "facegate.v1.TemplateRecord",
            "facegate.v1.EnrolFaceRequest",
            "facegate.v1.SnapshotChunk",
            "facegate.v1.LeaseResponse",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
