//! The only file that names `ort`: a verified model, ready to run.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::ep::{ArbitrarilyConfigurableExecutionProvider, CPU, ExecutionProviderDispatch, OpenVINO};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use crate::convert::{for_openvino, for_plain_cpu};
use crate::error::ModelError;
use crate::options::EngineOptions;
use crate::provider::{Chosen, Precision};

/// ONNX Runtime allows one environment a process; it is made from the first library asked for and kept.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// A network with one input.
///
/// Runs are serialised: a second caller waits. ONNX Runtime could run one session from several threads, but `ort` lends
/// it out for one run at a time, and a second session would hold the weights a second time. A gate has one thread that
/// looks at frames, and the cloud bounds its enrolments, so nobody waits for long.
pub struct Network {
    name: String,
    session: Mutex<Session>,
    provider: Chosen,
}

impl Network {
    /// A network of a model's bytes, with the library at `runtime`. On the plain kernels what it gives is the same on
    /// every machine but for rounding; OpenVINO is for those whose result stands reduced precision. If that cannot be
    /// had after all, it runs on the plain kernels and the log says why.
    ///
    /// Errors: `RuntimeMissing`, `RuntimeTooOld`, `RuntimeUnusable`, or `Unloadable` if the library refuses the graph.
    pub fn load_on(
        chosen: Chosen,
        name: &str,
        bytes: &[u8],
        runtime: &Path,
        options: &EngineOptions,
    ) -> Result<Self, ModelError> {
        let environment = environment(runtime)?;
        if let Chosen::OpenVino(precision) = chosen {
            let graph = for_openvino(bytes);
            // It optimises by itself; ONNX Runtime would first unfold weights that it reads as they are.
            let level = GraphOptimizationLevel::Disable;
            match session(&environment, openvino(precision, options), level, &graph, options) {
                Ok(session) => return Ok(Self::new(name, session, chosen)),
                Err(reason) => tracing::warn!(model = name, reason, "OpenVINO refuses the model; it runs on the CPU"),
            }
        }
        let cpu = CPU::default().with_arena_allocator(true).build().error_on_failure();
        let unloadable = |reason| ModelError::Unloadable { name: name.to_owned(), reason };
        if chosen == Chosen::Reference {
            let session =
                session(&environment, cpu, GraphOptimizationLevel::All, bytes, options).map_err(unloadable)?;
            return Ok(Self::new(name, session, chosen));
        }
        let session = session(&environment, cpu, GraphOptimizationLevel::All, &for_plain_cpu(bytes), options)
            .map_err(unloadable)?;
        Ok(Self::new(name, session, Chosen::Plain))
    }

    fn new(name: &str, session: Session, provider: Chosen) -> Self {
        Self { name: name.to_owned(), session: Mutex::new(session), provider }
    }

    /// Where it runs in fact.
    pub fn provider(&self) -> Chosen {
        self.provider
    }

    /// Runs on one float32 input and returns the named outputs, flat, in the order asked for.
    pub fn run(&self, input: &[f32], shape: [usize; 4], outputs: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.run_and(input, shape, outputs, |values| values.iter().map(|v| v.to_vec()).collect())
    }

    /// The same, but the outputs are looked at where they lie, while the network waits.
    pub fn run_and<T>(
        &self,
        input: &[f32],
        shape: [usize; 4],
        outputs: &[String],
        look: impl FnOnce(&[&[f32]]) -> T,
    ) -> Result<T, ModelError> {
        let failed = |e: ort::Error| ModelError::Inference { name: self.name.clone(), reason: e.to_string() };
        let tensor = TensorRef::from_array_view((shape, input)).map_err(failed)?;
        // A run leaves nothing behind in a session, so one that panicked does not spoil the next.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let results = session.run(ort::inputs![tensor]).map_err(failed)?;
        let mut values = Vec::with_capacity(outputs.len());
        for name in outputs {
            let missing =
                || ModelError::Inference { name: self.name.clone(), reason: format!("it has no output {name}") };
            values.push(results.get(name).ok_or_else(missing)?.try_extract_tensor::<f32>().map_err(failed)?.1);
        }
        Ok(look(&values))
    }
}

fn openvino(precision: Precision, options: &EngineOptions) -> ExecutionProviderDispatch {
    let hint = match precision {
        Precision::Float32 => "f32",
        Precision::BFloat16 => "bf16",
    };
    let config = format!("{{\"CPU\":{{\"INFERENCE_PRECISION_HINT\":\"{hint}\"}}}}");
    let provider = OpenVINO::default().with_device_type("CPU").with_num_threads(options.threads.get());
    provider.with_num_streams(1).with_arbitrary_config("load_config", config).build().error_on_failure()
}

/// Several gates share few cores: threads of a pool must sleep when idle, and operators run one after the other.
fn session(
    environment: &Environment,
    provider: ExecutionProviderDispatch,
    level: GraphOptimizationLevel,
    model: &[u8],
    options: &EngineOptions,
) -> Result<Session, String> {
    let text = |e: ort::Error<SessionBuilder>| e.to_string();
    let builder = Session::builder(environment).map_err(|e| e.to_string())?;
    let builder = builder.with_execution_providers([provider]).map_err(text)?;
    let builder = builder.with_optimization_level(level).map_err(text)?;
    let builder = builder.with_parallel_execution(false).map_err(text)?;
    let builder = builder.with_intra_threads(options.threads.get()).map_err(text)?;
    let builder = builder.with_intra_op_spinning(false).map_err(text)?;
    let builder = builder.with_inter_op_spinning(false).map_err(text)?;
    // Faces come one by one; a batch whose size is known lets the kernels be chosen for it.
    let mut builder = builder.with_dimension_override("batch", 1).map_err(text)?;
    builder.commit_from_memory(model).map_err(|e| e.to_string())
}

fn environment(library: &Path) -> Result<Environment, ModelError> {
    if !library.is_file() {
        return Err(ModelError::RuntimeMissing { path: library.to_owned() });
    }
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = environment.as_ref() {
        return Ok(environment.clone());
    }
    let unusable = |reason: String| ModelError::RuntimeUnusable { path: library.to_owned(), reason };
    // Relative paths are taken from where the program lies by `ort`, from where it runs by everybody else.
    let absolute: PathBuf = library.canonicalize().map_err(|e| unusable(e.to_string()))?;
    let made = ort::init_from(absolute)
        .map_err(|e| match e {
            LoadDynamicError::BadVersion { version_str, .. } => ModelError::RuntimeTooOld {
                path: library.to_owned(),
                found: version_str,
                needed: format!("1.{}", ort::MINOR_VERSION),
            },
            other => unusable(other.to_string()),
        })?
        .with_name("facegate")
        .with_telemetry(false)
        .build()
        .map_err(|e| unusable(e.to_string()))?;
    Ok(environment.insert(made).clone())
}
