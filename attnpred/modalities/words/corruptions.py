"""What can be wrong with a text whose words are tagged: other tokens and hidden ones, every word at its place."""

from attnpred.modalities.text.corruptions import noise, occlusion

CORRUPTIONS = {"noise": noise, "occlusion": occlusion}
