#!/usr/bin/env python3
"""Compile time and peak memory of translation units of growing size, for each compiler found.

usage: run.py [--compiler CMD ...] [--repeat N] [--options "-O2"] [--markdown FILE]

Prints, per unit and compiler, the least user seconds and the peak memory of N compilations. The units: the headers
alone; 30, 100 and 300 generated features lowered and evaluated on a dataset; the study's features with ridge and
`evaluate` (header-only, and with the solvers compiled elsewhere, RAFTER_COMPILED_NUMERICS). A reference unit that
includes no rafter header tells how fast the machine is just now.
"""
import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SCHEMA = '''
struct bench_schema {
  static constexpr std::string_view name = "bench";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, prefill_requests_t, decode_requests_t, kv_sum_t, kv_mean_t,
                              kv_max_t, kv_min_t, kv_deviation_t, prefill_attention_pairs_t, prefill_kv_sum_t,
                              gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = deployment;
};
'''
COLUMNS = ['prefill_tokens', 'decode_tokens', 'kv_sum', 'kv_max', 'kv_min']


def features(count):
    """Features with shared parts, as users write them: ratios and products of tokens and KV lengths."""
    lines = []
    for i in range(count):
        a, b, c = COLUMNS[i % 5], COLUMNS[(i // 5) % 5], COLUMNS[(i // 25) % 5]
        lines.append(f'  "f{i}"_f = ({a} + {b}) / max({c}, one_token) * {i + 1}_c,')
    return '\n'.join(lines)


def units():
    evaluate = '''#include "rafter/estimator/linear.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
using namespace rafter;''' + SCHEMA + '''
double worst(const dataset<bench_schema>& data) {
  return evaluate<linear<without_identity<"model">(catalog::study30), ridge<1>>>(data, lomo{}).results[0].worst_mape();
}
'''
    made = [
        ('reference: <algorithm>, <string>, <vector>', [],
         '#include <algorithm>\n#include <string>\n#include <vector>\nint zero() { return 0; }\n'),
        ('feature sets and datasets, headers alone', [],
         '#include "rafter/analytical/work.hpp"\n#include "rafter/feature/feature_set.hpp"\n'
         '#include "rafter/step/columns.hpp"\n'),
    ]
    for count in (30, 100, 300):
        made.append((f'{count} features evaluated on columns', [],
                     '#include "rafter/analytical/work.hpp"\n#include "rafter/feature/matrix.hpp"\n'
                     'using namespace rafter;\nusing namespace rafter::literals;' + SCHEMA +
                     'inline constexpr auto set = feature_set{\n' + features(count) + '\n};\n'
                     'auto matrix(const dataset<bench_schema>& data) { '
                     'return feature_matrix(set, data, row_set::all(data.size())); }\n'))
    made.append(('30 features, ridge and evaluation', [], evaluate))
    made.append(('the same, solvers compiled elsewhere', ['-DRAFTER_COMPILED_NUMERICS'], evaluate))
    return made


def compile_once(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f'does not compile: {" ".join(command)}\n{output[:3000]}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime


def peak_memory(command):
    timed = subprocess.run(['/usr/bin/time', '-f', '%M', *command], capture_output=True, text=True)
    return int(timed.stderr.strip().splitlines()[-1]) / 1024 if timed.returncode == 0 else float('nan')


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument('--compiler', action='append')
    arguments.add_argument('--repeat', type=int, default=3)
    arguments.add_argument('--options', default='-O2')
    arguments.add_argument('--markdown')
    asked = arguments.parse_args()
    compilers = asked.compiler or [c for c in ('g++', 'clang++-16') if shutil.which(c)]
    memory = os.path.exists('/usr/bin/time')
    lines = [f'| unit ({asked.options}) | ' + ' | '.join(f'{c}: s | MB' for c in compilers) + ' |',
             '|---|' + '---:|---:|' * len(compilers)]
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, options, text) in enumerate(units()):
            source = os.path.join(folder, f'unit{number}.cpp')
            with open(source, 'w') as out:
                out.write(text)
            cells = []
            for compiler in compilers:
                command = [*compiler.split(), '-std=c++20', *asked.options.split(), *options, '-I',
                           os.path.join(ROOT, 'include'), '-c', source, '-o', os.path.join(folder, 'unit.o')]
                seconds = min(compile_once(command) for _ in range(asked.repeat))
                cells.append(f'{seconds:.2f} | ' + (f'{peak_memory(command):.0f}' if memory else 'n/a'))
            lines.append(f'| {title} | ' + ' | '.join(cells) + ' |')
            print(lines[-1], flush=True)
    if asked.markdown:
        with open(asked.markdown, 'w') as out:
            out.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
