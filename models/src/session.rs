//! The only file that names `ort`: a verified model, ready to run.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::CPU;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use crate::error::ModelError;
use crate::options::{EngineOptions, Provider};

/// ONNX Runtime allows one environment a process; it is made from the first library asked for and kept.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// A network with one input. Runs are serialised: a second caller waits.
pub struct Network {
    name: String,
    session: Mutex<Session>,
}

impl Network {
    /// Makes a session of a model's bytes, with the library at `runtime`.
    ///
    /// Errors: `RuntimeMissing`, `RuntimeUnusable`, or `Unloadable` if the library refuses the graph.
    pub fn load(name: &str, bytes: &[u8], runtime: &Path, options: &EngineOptions) -> Result<Self, ModelError> {
        let environment = environment(runtime)?;
        let session = builder(&environment, options)
            .and_then(|mut builder| builder.commit_from_memory(bytes).map_err(|e| e.to_string()))
            .map_err(|reason| ModelError::Unloadable { name: name.to_owned(), reason })?;
        Ok(Self { name: name.to_owned(), session: Mutex::new(session) })
    }

    /// Runs on one NCHW float32 input and returns the named outputs, flat, in the order asked for.
    pub fn run(&self, input: &[f32], shape: [usize; 4], outputs: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let failed = |e: ort::Error| ModelError::Inference { name: self.name.clone(), reason: e.to_string() };
        let tensor = TensorRef::from_array_view((shape, input)).map_err(failed)?;
        // A run leaves nothing behind in a session, so one that panicked does not spoil the next.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let results = session.run(ort::inputs![tensor]).map_err(failed)?;
        let named = |name: &String| match results.get(name) {
            Some(value) => Ok(value.try_extract_tensor::<f32>().map_err(failed)?.1.to_vec()),
            None => Err(ModelError::Inference { name: self.name.clone(), reason: format!("it has no output {name}") }),
        };
        outputs.iter().map(named).collect()
    }
}

/// Several gates share few cores: threads of a pool must sleep when idle, and operators run one after the other.
fn builder(environment: &Environment, options: &EngineOptions) -> Result<SessionBuilder, String> {
    let provider = match options.provider {
        Provider::Cpu => CPU::default().with_arena_allocator(true).build().error_on_failure(),
    };
    let text = |e: ort::Error<SessionBuilder>| e.to_string();
    let builder = Session::builder(environment).map_err(|e| e.to_string())?;
    let builder = builder.with_execution_providers([provider]).map_err(text)?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(text)?;
    let builder = builder.with_parallel_execution(false).map_err(text)?;
    let builder = builder.with_intra_threads(options.threads.get()).map_err(text)?;
    let builder = builder.with_intra_op_spinning(false).map_err(text)?;
    builder.with_inter_op_spinning(false).map_err(text)
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
        .map_err(|e| unusable(e.to_string()))?
        .with_name("facegate")
        .with_telemetry(false)
        .build()
        .map_err(|e| unusable(e.to_string()))?;
    Ok(environment.insert(made).clone())
}
