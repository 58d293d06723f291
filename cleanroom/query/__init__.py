"""From text to release: parse, resolve, unit, bound, plan, gate, backend, contribution, noise, release."""
