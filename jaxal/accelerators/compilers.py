"""Programs for accelerators that are not here, made by their own compilers in a process apart.

Both compilers run on any Linux machine, without a device: that of TPUs is libtpu, that of NVIDIA's
cards comes with the CUDA plugin. What they need in the environment must be there before JAX looks
at it, and neither must take a device that is here: so each runs in a process of its own, which
compiles one decision after another. Where neither is installed, XLA's compiler for CPUs partitions
the same program over as many devices; its temporaries are larger or smaller than theirs.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

from jaxal.accelerators.compiled import Compiled
from jaxal.accelerators.decisions import Decision
from jaxal.accelerators.topologies import Topology

_PLUGINS = {
    "tpu": (("libtpu",), 'pip install "jax[tpu]"'),
    "cuda": (("jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13"), 'pip install "jax[cuda12]"'),
    "cpu": (("jaxlib",), "pip install jax"),
}
_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    # libtpu is not to ask Google's cloud which pod this machine is of, nor wait for others.
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
_LAST_WORDS = 5


def missing(compiler: str) -> str | None:
    """The command that installs a compiler, "tpu" or "cuda"; None if it is there."""
    modules, command = _PLUGINS[compiler]
    for module in modules:
        with contextlib.suppress(ModuleNotFoundError):  # of the package around it
            if importlib.util.find_spec(module) is not None:
                return None
    return command


class Compiler:
    """A process with the compiler of some accelerators; a context manager.

    with Compiler("tpu") as compiler:
        decision = Decision("badge", 10**9, 256, 10_000)
        compiled = compiler.compile(decision, parse("topology", "v5e:8x8"))
    """

    def __init__(self, name: str, *, devices: int = 1) -> None:
        """Starts the process.

        Args:
          name: "tpu", "cuda" or "cpu".
          devices: of the CPU, which stand for as many chips.

        Raises:
          ValueError: it is not installed; says what to install.
        """
        if (command := missing(name)) is not None:
            raise ValueError(f"topology: the compiler for it is not installed: {command}")
        self._command = [sys.executable, "-m", "jaxal.accelerators._worker", name]
        self._environment = {**_ENVIRONMENT, "JAX_NUM_CPU_DEVICES": str(devices)}
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **self._environment},
            text=True,
        )

    def __enter__(self) -> "Compiler":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def compile(self, decision: Decision, topology: Topology) -> Compiled:
        """Compiles one decision; 5 to 40 seconds.

        Args:
          decision: of which strategy, on what pool.
          topology: for what; of this compiler.

        Returns:
          `Compiled`.

        Raises:
          ValueError: the decision or the topology is none, in the words of what refused it.
          RuntimeError: the compiler broke down; another is started when this is called again.
        """
        if self._process.poll() is not None:
            self._process = self._start()
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None
        request = json.dumps({"decision": decision._asdict(), "topology": topology})
        with contextlib.suppress(BrokenPipeError):
            print(request, file=requests, flush=True)
        line = answers.readline()
        if not line:
            self._log.seek(0)
            words = "\n".join(self._log.read().splitlines()[-_LAST_WORDS:])
            self._process.communicate()
            status = self._process.returncode
            raise RuntimeError(f"the compiler for {topology} ended ({status}): {words}")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return Compiled(**answer)
