import { BlurView } from 'expo-blur';
import { LinearGradient } from 'expo-linear-gradient';
import type { ReactNode } from 'react';
import type { SurfaceProps } from '../ui/legend.js';

/** Frosted glass under a gradient: expo-blur and expo-linear-gradient. */
export function ExpoSurface({ theme, style, contentStyle, testID, children }: SurfaceProps): ReactNode {
  return (
    <BlurView intensity={80} tint={theme.tint} style={style} testID={testID}>
      <LinearGradient colors={theme.gradient} style={contentStyle}>
        {children}
      </LinearGradient>
    </BlurView>
  );
}
