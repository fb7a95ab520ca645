use std::collections::BTreeMap;
use std::fs;

use crate::models;
use crate::python::Python;

const SCRIPT: &str = r#"
import json, sys
from safetensors.numpy import load_file
tensors = load_file(sys.argv[1])
assert all(t.dtype == "float32" for t in tensors.values())
print(json.dumps({n: [t.shape, t.reshape(-1).view("uint32").tolist()] for n, t in tensors.items()}))
"#;

#[test]
fn python_reads_our_weights_bit_for_bit() {
    let Some(python) = Python::or_skip("python_reads_our_weights_bit_for_bit", &["numpy", "safetensors"])
    else {
        return;
    };
    for model in models::all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, model.weights.to_safetensors().unwrap()).unwrap();
        let printed = python.run(SCRIPT, &[file.path()]);
        let theirs: BTreeMap<String, (Vec<usize>, Vec<u32>)> = serde_json::from_str(&printed).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
        let ours: BTreeMap<String, (Vec<usize>, Vec<u32>)> = model
            .weights
            .iter()
            .map(|(name, tensor)| (name.to_owned(), (tensor.shape.clone(), bits(&tensor.values))))
            .collect();
        assert_eq!(ours, theirs, "{}", model.name);
    }
}
