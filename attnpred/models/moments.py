"""What models share that read a series moment by moment: its entrance, and the head behind the pooling."""

from torch import Tensor, nn

from attnpred.contracts import AnswerSpec, Input, ModelSpec
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec
from attnpred.models.attention import Head
from attnpred.models.series import Entrance, Level, NormKind, WindowNorm, known_ahead, undone


class MomentEntrance(nn.Module):
    """A series by moment; for a forecast each window is brought to one level."""

    def __init__(self, norm: NormKind, answer: AnswerSpec) -> None:
        super().__init__()
        self.enter = Entrance(by_moment=True)
        self.norm = WindowNorm(norm if answer.forecast else "none")

    def forward(self, read: SeriesInput) -> tuple[Tensor, Level]:
        """-> (batch, moments, variables), and its level"""
        normed, level = self.norm(self.enter(read.values).transpose(1, 2))
        return normed.transpose(1, 2), level


class MomentHead(nn.Module):
    """From one vector a linear answer; a forecast gets the window's level back, and what is known ahead is added."""

    def __init__(self, width: int, spec: ModelSpec) -> None:
        super().__init__()
        self.forecast = spec.answer.forecast
        self.map = Head(width, spec.answer)
        self.ahead = known_ahead(spec.input, spec.answer) if isinstance(spec.input, SeriesSpec) else None

    def forward(self, pooled: Tensor, read: Input, level: Level | None) -> Tensor:
        """(batch, width) -> (batch, numbers)"""
        answer: Tensor = self.map(pooled)
        if self.forecast is None:
            return answer
        assert level is not None
        assert isinstance(read, SeriesInput)
        said = answer.unflatten(1, (len(self.forecast.variables), -1))
        said = said if self.ahead is None else said + self.ahead(read)
        return undone(said, level, self.forecast)
