"""A program of a GPU as its compiler writes it, and a decision that was compiled to it."""

import textwrap

from jaxal.accelerators import Compiled

GPU = textwrap.dedent("""\
    HloModule jit_decide, is_scheduled=true

    FileNames
    1 "jaxal/greedy/lazy.py"

    FunctionNames
    1 "lazy_greedy"
    2 "_by_loop"

    FileLocations
    1 {file_name_id=1 function_name_id=1 line=1 end_line=1 column=1 end_column=2}
    2 {file_name_id=1 function_name_id=2 line=2 end_line=2 column=1 end_column=2}

    StackFrames
    1 {file_location_id=1 parent_frame_id=1}
    2 {file_location_id=2 parent_frame_id=2}

    %yes (p.1: f32[8]) -> f32[8] {
      %p.1 = f32[8]{0} parameter(0)
      %exp.1 = f32[8]{0} exponential(%p.1)
      ROOT %neg.1 = f32[8]{0} negate(%exp.1)
    }

    %no (p.2: f32[8]) -> f32[8] {
      ROOT %p.2 = f32[8]{0} parameter(0)
    }

    %pick (p.3: (s32[], f32[8])) -> (s32[], f32[8]) {
      %p.3 = (s32[], f32[8]) parameter(0)
      %gte.1 = s32[] get-tuple-element(%p.3), index=0
      %gte.2 = f32[8]{0} get-tuple-element(%p.3), index=1
      %fusion.1 = pred[] fusion(%gte.1), kind=kLoop, calls=%no
      %cond.1 = f32[8]{0} conditional(%fusion.1, %gte.2, %gte.2), branch_computations={%yes, %no}
      ROOT %tuple.1 = (s32[], f32[8]) tuple(%gte.1, %cond.1)
    }

    %pick_on (p.4: (s32[], f32[8])) -> pred[] {
      %p.4 = (s32[], f32[8]) parameter(0)
      %gte.3 = s32[] get-tuple-element(%p.4), index=0
      ROOT %fusion.2 = pred[] fusion(%gte.3), kind=kLoop, calls=%no
    }

    %pass (p.5: (s32[], f32[8])) -> (s32[], f32[8]) {
      %p.5 = (s32[], f32[8]) parameter(0)
      %while.1 = (s32[], f32[8]) while(%p.5), condition=%pick_on, body=%pick, stack_frame_id=2
      %gte.4 = s32[] get-tuple-element(%while.1), index=0
      %gte.5 = f32[8]{0} get-tuple-element(%while.1), index=1
      %one = s32[] constant(4)
      %add.1 = s32[] add(%gte.4, %one)
      %all-gather-start.1 = (f32[8]{0}, f32[16]{0}) all-gather-start(%gte.5), dimensions={0}
      %all-gather-done.1 = f32[16]{0} all-gather-done(%all-gather-start.1)
      ROOT %tuple.2 = (s32[], f32[8]) tuple(%add.1, %gte.5)
    }

    %pass_on (p.6: (s32[], f32[8])) -> pred[] {
      %end = s32[] constant(30)
      %p.6 = (s32[], f32[8]) parameter(0)
      %gte.6 = s32[] get-tuple-element(%p.6), index=0
      ROOT %lt.1 = pred[] compare(%gte.6, %end), direction=LT
    }

    ENTRY %main (p.7: f32[8]) -> f32[8] {
      %p.7 = f32[8]{0} parameter(0)
      %zero = s32[] constant(0)
      %all-reduce.1 = (f32[2,3]{1,0}, s32[]) all-reduce(%p.7, %zero), to_apply=%yes
      %tuple.3 = (s32[], f32[8]) tuple(%zero, %p.7)
      %while.2 = (s32[], f32[8]) while(%tuple.3), condition=%pass_on, body=%pass, stack_frame_id=1
      ROOT %gte.7 = f32[8]{0} get-tuple-element(%while.2), index=1
    }
    """)


def compiled(**given):
    """A decision with this program."""
    facts = {"rows": 1000, "devices": 2, "seconds": 1.0}
    facts |= {"arguments": 100, "temporaries": 20, "results": 3}
    return Compiled(**{**facts, "text": GPU, **given})
