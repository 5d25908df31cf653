"""What a measurement was made on: for the data card. Asks, never sets: clocks and power stay as they are."""
import platform
import subprocess

import floor


def uuid_of(torch, device):
    """The driver's id of the device that PyTorch uses, which need not be its first (CUDA_VISIBLE_DEVICES); None: not told."""
    found = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return None if found is None else f"GPU-{str(found).removeprefix('GPU-')}"


def smi(fields, uuid=None):
    """-> {field: text} from the driver's query tool, of the device with this id; {} where it is not there"""
    try:
        done = subprocess.run(["nvidia-smi", "-i", uuid or "0", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
                              capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    values = [value.strip() for value in done.stdout.strip().split(",")]
    return dict(zip(fields, values)) if done.returncode == 0 and len(values) == len(fields) else {}


class Clocks:
    """Clocks, temperature and power now; through NVML where its module is there, else the query tool."""

    def __init__(self, cuda, uuid=None):
        self.cuda, self.uuid, self.nvml, self.handle = cuda, uuid, None, None
        if cuda:
            try:
                import pynvml
                pynvml.nvmlInit()
                self.handle = pynvml.nvmlDeviceGetHandleByUUID(uuid) if uuid else pynvml.nvmlDeviceGetHandleByIndex(0)
                self.nvml = pynvml
            except Exception:  # no module or no library: the query tool is asked
                self.nvml = None

    def read(self):
        if not self.cuda:
            return {}
        if self.nvml is not None:
            try:
                n, h = self.nvml, self.handle
                return {"sm_mhz": n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM),
                        "memory_mhz": n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM),
                        "temperature_c": n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU),
                        "power_w": round(n.nvmlDeviceGetPowerUsage(h) / 1000)}
            except Exception:
                self.nvml = None
        found = smi(["clocks.sm", "clocks.mem", "temperature.gpu", "power.draw"], self.uuid)
        known = {}
        for name, text in zip(("sm_mhz", "memory_mhz", "temperature_c", "power_w"), found.values()):
            try:
                known[name] = round(float(text))
            except ValueError:
                pass  # "[N/A]": this device does not tell
        return known


def hardware_name(torch, device):
    """rafter's name of the device, or None"""
    return floor.DRIVER_NAMES.get(torch.cuda.get_device_name(device)) if device.type == "cuda" else "cpu"


def processor():
    """The maker's name of the host's processor, without naming the host."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine() or "unknown"


def describe(torch, device, methods, lines):
    """-> the machine of a part: {field: text}. `methods`: {what: backend}, `lines`: what was passed over and why."""
    cuda = device.type == "cuda"
    driver = smi(["driver_version"], uuid_of(torch, device)).get("driver_version", "unknown") if cuda else "none"
    facts = {"device": torch.cuda.get_device_name(device) if cuda else "CPU (test mode)",
             "memory_gb": f"{torch.cuda.get_device_properties(device).total_memory / 1e9:.1f}" if cuda else "-",
             "processor": processor(), "driver": driver, "cuda": str(torch.version.cuda) if cuda else "none",
             "torch": torch.__version__, "python": platform.python_version()}
    return {**facts, **methods, "notes": lines}
